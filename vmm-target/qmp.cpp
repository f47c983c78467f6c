// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/qmp.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMessageLimit = 16u << 20;

std::string words_of(const boost::json::object& error) {
    const auto* words = error.if_contains("desc");
    return words && words->is_string() ? printable(std::string_view(words->as_string())) : "no words";
}

}  // namespace

Result<QmpClient> QmpClient::connect(const std::filesystem::path& socket, std::chrono::milliseconds timeout) {
    auto directory = TRY(open_fd(socket.parent_path(), O_PATH | O_DIRECTORY));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = fmt::format("/proc/self/fd/{}/{}", directory.get(), socket.filename().string());
    if (!fd.valid() || path.size() >= sizeof address.sun_path)
        return make_error(errors::kQmp, "no socket for {}", socket.string());
    std::memcpy(address.sun_path, path.c_str(), path.size());
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return make_error(errors::kQmp, "{}: {}", socket.string(), std::strerror(errno));
    QmpClient client(std::move(fd));
    TRY(client.read_message(Clock::now() + timeout));  // the greeting
    TRY(client.execute("qmp_capabilities", {}, timeout));
    return client;
}

Result<bool> QmpClient::fill(std::chrono::milliseconds timeout) {
    if (buffer_.size() > kMessageLimit) return make_error(errors::kQmp, "QEMU's message has no end");
    pollfd poll{fd_.get(), POLLIN, 0};
    if (::poll(&poll, 1, static_cast<int>(timeout.count())) <= 0) return false;
    char bytes[65536];
    const auto count = ::read(fd_.get(), bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) return false;
    if (count <= 0) return make_error(errors::kQmp, "QEMU closed the connection");
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
}

Result<boost::json::object> QmpClient::take_message() {
    const auto end = buffer_.find('\n');
    boost::system::error_code bad;
    auto message = boost::json::parse(std::string_view(buffer_).substr(0, end), bad);
    buffer_.erase(0, end + 1);
    if (bad || !message.is_object()) return make_error(errors::kQmp, "QEMU sent what is no JSON object");
    return std::move(message.as_object());
}

Result<boost::json::object> QmpClient::read_message(Clock::time_point deadline) {
    while (!has_line()) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return make_error(errors::kQmp, "QEMU does not answer");
        TRY(fill(left));
    }
    return take_message();
}

void QmpClient::keep_event(const boost::json::object& message) {
    // QEMU has some forty kinds of them.
    if (const auto* name = message.if_contains("event"); name && name->is_string() && events_.size() < 100)
        events_.emplace(std::string_view(name->as_string()));
}

Result<std::set<std::string>> QmpClient::take_events() {
    do {
        while (has_line()) keep_event(TRY(take_message()));
    } while (TRY(fill(std::chrono::milliseconds(0))));
    return std::exchange(events_, {});
}

Result<boost::json::value> QmpClient::execute(std::string_view command, boost::json::object arguments,
                                              std::chrono::milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    boost::json::object request{{"execute", command}};
    if (!arguments.empty()) request["arguments"] = std::move(arguments);
    const auto text = boost::json::serialize(request) + "\n";
    if (::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
        return make_error(errors::kQmp, "{}: QEMU is gone", command);
    for (;;) {
        auto message = TRY_WITH(read_message(deadline), std::string(command));
        if (auto* value = message.if_contains("return")) return std::move(*value);
        if (const auto* error = message.if_contains("error"))
            return make_error(errors::kQmp, "{}: {}", command,
                              error->is_object() ? words_of(error->as_object()) : "no words");
        keep_event(message);
    }
}

}  // namespace slipway::vmm
