// SPDX-License-Identifier: GPL-3.0-or-later
// The trace that services write and people read, at the same time: what is seen of a boot is told here, in one line at
// the place where it is seen. In memory only.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "pxe/trace.hpp"

namespace slipway::pxe {

class TraceLog {
public:
    // `neighbour`: the MAC of an address on a link of ours, asked when no machine has claimed it; it counts only for a
    // machine that asked to boot.
    explicit TraceLog(const Clock& clock, std::function<std::optional<MacAddress>(Ipv4Address)> neighbour = {},
                      TraceLimits limits = {});
    ~TraceLog();  // stop()

    void note(const MacAddress& mac, EventDetail detail);
    // Of whom has this address; dropped when nobody is known to.
    void note(Ipv4Address address, EventDetail detail);
    void claim(Ipv4Address address, const MacAddress& mac);
    bool knows(const MacAddress& mac) const;
    // Who may have this address: whose frames come from it, then who claimed it (behind a router the former is the
    // router's).
    std::vector<MacAddress> holders(Ipv4Address address);

    struct News {
        std::vector<BootEvent> events;
        std::uint64_t last = 0;  // go on after this
    };
    // Calls `done` at once when there is news, else when there is some or the time is up; from any thread.
    void wait(std::uint64_t after, std::optional<MacAddress> mac, std::chrono::milliseconds patience,
              std::function<void(News)> done);
    std::uint64_t last_id() const;
    std::vector<BootEvent> of(const MacAddress& mac) const;
    std::vector<Ipv4Address> addresses(const MacAddress& mac) const;
    std::vector<MacAddress> machines() const;
    void stop();  // waiters are answered; later calls do nothing

private:
    struct Waiter {
        std::uint64_t after;
        std::optional<MacAddress> mac;
        Instant until;
        std::function<void(News)> done;
    };
    // With the mutex held.
    std::optional<MacAddress> owner_of(Ipv4Address address);
    std::optional<MacAddress> neighbour_of(Ipv4Address address);
    std::optional<News> news_for(std::uint64_t after, const std::optional<MacAddress>& mac) const;
    void run();

    const Clock& clock_;
    std::function<std::optional<MacAddress>(Ipv4Address)> neighbour_;
    mutable std::mutex mutex_;  // guards all below
    TraceStore store_;
    unsigned looks_ = 0;  // that neighbour_ was asked, until then
    Instant looks_until_{};
    std::vector<Waiter> waiters_;
    std::condition_variable wake_;
    bool news_ = false, stopping_ = false;
    std::thread thread_;
};

// Of /proc/net/arp.
std::optional<MacAddress> neighbour_in(std::string_view arp_table, Ipv4Address address);

}  // namespace slipway::pxe
