// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/serve.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup {

namespace {

using wire::line_of;

// What was read; nothing at the end of the stream.
Result<std::string> read_some(int port) {
    std::string out(65536, '\0');
    ssize_t n;
    do n = ::read(port, out.data(), out.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno_error(errno, "the port");
    out.resize(static_cast<std::size_t>(n));
    return out;
}

// A virtio-serial port reads as ended until the kernel has heard that its other side is there, and tells nobody when it
// has.
Result<std::string> first_bytes(int port) {
    for (int tries = 0; tries < 600; ++tries) {
        auto bytes = TRY(read_some(port));
        if (!bytes.empty()) return bytes;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return make_error(errors::kWire, "no request came");
}

Result<RepairRequest> take_request(int port, wire::Lines& lines) {
    TRY(lines.feed(TRY(first_bytes(port))));
    while (true) {
        if (auto line = lines.next()) return wire::parse_request(*line);
        const auto bytes = TRY(read_some(port));
        if (bytes.empty()) return make_error(errors::kWire, "the request ended in the middle");
        TRY(lines.feed(bytes));
    }
}

// One line at a time, from several threads.
class Speaker {
public:
    explicit Speaker(int port) : port_(port) {}
    Status say(const wire::Message& message) {
        const auto line = line_of(message);
        std::lock_guard lock(mutex_);
        return write_full(port_, as_bytes(line));
    }

private:
    int port_;
    std::mutex mutex_;
};

// Says that we are alive while a step takes its time.
class Heartbeat {
public:
    explicit Heartbeat(Speaker& speaker) : thread_([this, &speaker] { beat(speaker); }) {}
    ~Heartbeat() {
        {
            std::lock_guard lock(mutex_);
            ended_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

private:
    void beat(Speaker& speaker) {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, std::chrono::seconds(wire::kAliveSeconds), [this] { return ended_; }))
            if (!speaker.say(wire::Alive{})) return;
    }
    std::mutex mutex_;
    std::condition_variable wake_;
    bool ended_ = false;
    std::thread thread_;
};

// Makes `cancel` readable once the caller says so, or is gone; listens until `ended` is readable.
void listen(int port, wire::Lines& lines, int ended, int cancel) {
    while (true) {
        while (auto line = lines.next())
            if (wire::is_cancel(*line)) return (void)::eventfd_write(cancel, 1);
        pollfd fds[2] = {{port, POLLIN, 0}, {ended, POLLIN, 0}};
        if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
        if (fds[1].revents) return;
        if (!fds[0].revents) continue;
        auto bytes = read_some(port);
        if (!bytes || bytes->empty() || !lines.feed(*bytes)) return (void)::eventfd_write(cancel, 1);
    }
}

}  // namespace

Status serve(int port, const RepairFunction& work) {
    UniqueFd cancel(::eventfd(0, EFD_CLOEXEC)), ended(::eventfd(0, EFD_CLOEXEC));
    if (!cancel.valid() || !ended.valid()) return errno_error(errno, "eventfd");
    Speaker speaker(port);
    TRY(speaker.say(wire::Hello{}));
    wire::Lines lines;
    auto request = take_request(port, lines);
    if (!request) return speaker.say(wire::Outcome(std::move(request).error()));
    request->cancel_fd = cancel.get();
    std::thread listener([&] { listen(port, lines, ended.get(), cancel.get()); });
    auto outcome = [&] {
        Heartbeat heart(speaker);
        return work(*request, [&](const std::string& note) { (void)speaker.say(wire::Note{note}).ok(); });
    }();
    ::eventfd_write(ended.get(), 1);
    listener.join();
    return speaker.say(std::move(outcome));
}

}  // namespace slipway::fixup
