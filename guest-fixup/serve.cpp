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

// Files of the patch library that the caller is asked for, while a step waits for them.
class Orders {
public:
    explicit Orders(Speaker& speaker) : speaker_(speaker) {}

    Result<std::optional<std::string>> ask(const patches::FileKey& key) {
        std::unique_lock lock(mutex_);
        if (closed_) return make_error(errors::kWire, "the caller is gone");
        answer_.reset();
        waits_ = true;
        TRY(speaker_.say(wire::Wanted{key}));
        came_.wait(lock, [this] { return answer_ || closed_; });
        waits_ = false;
        if (!answer_) return make_error(errors::kWire, "the caller is gone");
        return std::move(answer_->content);
    }
    void deliver(wire::PatchFile file) {
        std::lock_guard lock(mutex_);
        if (!waits_) return;
        waits_ = false;  // a second answer to one question is nobody's
        answer_ = std::move(file);
        came_.notify_all();
    }
    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        came_.notify_all();
    }

private:
    Speaker& speaker_;
    std::mutex mutex_;
    std::condition_variable came_;
    std::optional<wire::PatchFile> answer_;
    bool waits_ = false, closed_ = false;
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

// Hands over what was ordered, until the caller cancels (true), is gone (true) or `ended` is readable.
bool listen(int port, wire::Lines& lines, int ended, Orders& orders) {
    while (true) {
        while (auto line = lines.next()) {
            auto saying = wire::parse_saying(*line);
            if (!saying) continue;
            if (std::holds_alternative<wire::Cancel>(*saying)) return true;
            orders.deliver(std::get<wire::PatchFile>(*std::move(saying)));
        }
        pollfd fds[2] = {{port, POLLIN, 0}, {ended, POLLIN, 0}};
        if (::poll(fds, 2, -1) < 0 && errno != EINTR) return false;
        if (fds[1].revents) return false;
        if (!fds[0].revents) continue;
        auto bytes = read_some(port);
        if (!bytes || bytes->empty() || !lines.feed(*bytes)) return true;
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
    Orders orders(speaker);
    request->patch_supply = [&](const patches::FileKey& key) { return orders.ask(key); };
    std::thread listener([&] {
        const bool stop = listen(port, lines, ended.get(), orders);
        orders.close();
        if (stop) ::eventfd_write(cancel.get(), 1);
    });
    auto outcome = [&] {
        Heartbeat heart(speaker);
        return work(*request, [&](const std::string& note) { (void)speaker.say(wire::Note{note}).ok(); });
    }();
    ::eventfd_write(ended.get(), 1);
    listener.join();
    return speaker.say(std::move(outcome));
}

}  // namespace slipway::fixup
