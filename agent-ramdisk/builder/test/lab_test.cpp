// SPDX-License-Identifier: GPL-3.0-or-later
// The ramdisk in QEMU, straight from -kernel and -initrd, in the lab's network: its init finds the drivers, the card
// and an address, sets the clock and starts the agent; a script stands in for it and calls home.
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "agent-ramdisk/builder/builder.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/http/server.hpp"

using namespace slipway;
using namespace slipway::builder;
using namespace std::chrono_literals;

namespace {

const std::string kLab = std::string(SLIPWAY_SOURCE_DIR) + "/tests/lab/";

constexpr const char* kAgent = R"(#!/bin/sh
disks=$(cd /sys/block && echo [sv]d*)
modules=$(lsmod | wc -l)
free=$(awk '/MemAvailable/ {print $2}' /proc/meminfo)
arguments=$(echo "$*" | tr ' ' '+')
wget -q -O /dev/null "http://10.99.0.1:8480/ready?disks=$disks&date=$(date +%s)&modules=$modules&free=$free&arguments=$arguments"
sleep 1000
)";

struct Case {
    const char *nic, *controller, *disk;
};

class RamdiskLab : public testing::TestWithParam<Case> {
protected:
    std::string id = "ram" + std::to_string(::getpid());
    std::optional<UniqueFd> home;

    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "the lab network needs root";
        if (installed_kernels("/").empty()) GTEST_SKIP() << "no kernel is installed";
        if (!run_checked({"sh", "-c", "command -v qemu-system-x86_64"}).ok()) GTEST_SKIP() << "QEMU is not installed";
        auto made = run_checked({kLab + "net", "up", id});
        if (!made.ok()) GTEST_SKIP() << made.error().describe();
        home = open_fd("/proc/self/ns/net", O_RDONLY).value();
        auto inside = open_fd("/run/netns/slab-" + id, O_RDONLY).value();
        ASSERT_EQ(::setns(inside.get(), CLONE_NEWNET), 0);
    }
    void TearDown() override {
        if (!home) return;
        ASSERT_EQ(::setns(home->get(), CLONE_NEWNET), 0);
        EXPECT_TRUE(run_checked({kLab + "net", "down", id}).ok());
    }
};

}  // namespace

TEST_P(RamdiskLab, agent_starts_with_disk_address_and_clock) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<http::Request> ready;
    auto router = std::make_shared<http::Router>();
    router->add("GET", "/ready", [&](http::Request r, http::Responder out) {
        out.send(http::Response::text(200, "go on\n"));
        std::lock_guard lock(mutex);
        ready = std::move(r);
        changed.notify_all();
    });
    http::Server http(1);
    ASSERT_TRUE(http.listen({.address = "10.99.0.1", .port = 8480}, router).ok());

    auto dir = TempDir::create("ramdisk").value();
    ASSERT_TRUE(write_file_atomic(dir / "agent", as_bytes(kAgent), 0755).ok());
    ASSERT_TRUE(write_file_atomic(dir / "ca.pem", as_bytes("CA\n")).ok());
    ASSERT_TRUE(write_file_atomic(dir / "disk", Bytes(1 << 20)).ok());
    auto built = build_ramdisk({.agent = dir / "agent", .ca = dir / "ca.pem", .output = dir / "boot", .level = 3});
    ASSERT_TRUE(built.ok()) << built.error().describe();
    std::printf("kernel %s, ramdisk %s (level 3), unpacked %s, %zu modules\n", human_bytes(built->kernel_bytes).c_str(),
                human_bytes(built->ramdisk_bytes).c_str(), human_bytes(built->unpacked_bytes).c_str(),
                built->modules.size());
    ASSERT_TRUE(run_checked({kLab + "net", "tap", id, "tap0"}).ok());

    const char* accel = std::getenv("SLIPWAY_ACCEL");
    auto begun = Instant::clock::now();
    auto log = dir / "serial.log";
    auto qemu = Child::spawn(
        {"qemu-system-x86_64",
         "-nodefaults",
         "-machine",
         "pc",
         "-accel",
         accel ? accel : "tcg,thread=multi",
         "-m",
         "128",
         "-display",
         "none",
         "-vga",
         "std",
         "-kernel",
         built->kernel,
         "-initrd",
         built->ramdisk,
         "-append",
         "console=tty0 console=ttyS0 slipway.server=https://10.99.0.1:8443 slipway.bulk=http://10.99.0.1:8480 "
         "slipway.token=c0ffee slipway.time=2000000000 slipway.mac=52:54:00:51:00:01",
         "-netdev",
         "tap,id=n0,ifname=tap0,script=no,downscript=no",
         "-device",
         std::string(GetParam().nic) + ",netdev=n0,mac=52:54:00:51:00:01",
         "-drive",
         "if=none,id=d0,format=raw,file=" + (dir / "disk").string(),
         "-device",
         GetParam().controller,
         "-device",
         GetParam().disk,
         "-serial",
         "file:" + log.string()},
        {});
    ASSERT_TRUE(qemu.ok());
    bool came = false;
    {
        std::unique_lock lock(mutex);
        came = changed.wait_for(lock, 120s, [&] { return ready.has_value(); });
    }
    std::printf("%.1f s from power-on to the agent\n",
                std::chrono::duration<double>(Instant::clock::now() - begun).count());
    auto serial = read_text_file(log).value_or("");
    ASSERT_TRUE(came) << serial;
    std::printf("%s modules loaded, %s kB free of 128 MiB\n", ready->query_value("modules").c_str(),
                ready->query_value("free").c_str());
    EXPECT_NE(ready->query_value("disks").find("da"), std::string::npos) << ready->query_value("disks") << serial;
    auto date = parse_u64(ready->query_value("date")).value_or(0);
    EXPECT_GE(date, 2000000000u);
    EXPECT_LT(date, 2000000200u);
    EXPECT_EQ(
        ready->query_value("arguments"),
        "--server https://10.99.0.1:8443 --mac 52:54:00:51:00:01 --ca /etc/slipway/ca.pem --console /dev/tty0 --bulk "
        "http://10.99.0.1:8480 --token c0ffee");
    EXPECT_NE(serial.find("Slipway: starting the agent for https://10.99.0.1:8443"), std::string::npos) << serial;
    qemu->signal(SIGKILL);
    qemu->wait();
}

INSTANTIATE_TEST_SUITE_P(Machines, RamdiskLab,
                         testing::Values(Case{"e1000", "megasas,id=c0", "scsi-hd,drive=d0,bus=c0.0"},
                                         Case{"virtio-net-pci", "virtio-blk-pci,drive=d0", "virtio-rng-pci"}));
