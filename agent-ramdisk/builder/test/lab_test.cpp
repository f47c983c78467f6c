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
#include "pxe/script.hpp"
#include "pxe/service.hpp"
#include "tftp/errors.hpp"

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
    EXPECT_EQ(ready->query_value("arguments"),
              "--server https://10.99.0.1:8443 --mac 52:54:00:51:00:01 --ca /etc/slipway/ca.pem --console /dev/tty0 "
              "--ready-file /run/slipway-ready --post-system /etc/slipway/post-system --bulk http://10.99.0.1:8480 "
              "--token c0ffee");
    EXPECT_NE(serial.find("Slipway: starting the agent for https://10.99.0.1:8443"), std::string::npos) << serial;
    qemu->signal(SIGKILL);
    qemu->wait();
}

// Without a card the agent never runs; the machine starts over, and its next network boot may do better.
TEST(Ramdisk, a_machine_that_does_not_reach_its_server_starts_over) {
    if (installed_kernels("/").empty()) GTEST_SKIP() << "no kernel is installed";
    if (!run_checked({"sh", "-c", "command -v qemu-system-x86_64"}).ok()) GTEST_SKIP() << "QEMU is not installed";
    auto dir = TempDir::create("ramdisk").value();
    ASSERT_TRUE(write_file_atomic(dir / "agent", as_bytes(kAgent), 0755).ok());
    ASSERT_TRUE(write_file_atomic(dir / "ca.pem", as_bytes("CA\n")).ok());
    auto built = build_ramdisk({.agent = dir / "agent", .ca = dir / "ca.pem", .output = dir / "boot", .level = 3});
    ASSERT_TRUE(built.ok()) << built.error().describe();
    const char* accel = std::getenv("SLIPWAY_ACCEL");
    auto log = dir / "serial.log";
    // -no-reboot: QEMU ends where the machine would start over.
    auto ended = run_command(
        {"qemu-system-x86_64", "-nodefaults", "-machine", "pc", "-accel", accel ? accel : "tcg,thread=multi", "-m",
         "128", "-display", "none", "-no-reboot", "-kernel", built->kernel, "-initrd", built->ramdisk, "-append",
         "console=ttyS0 slipway.server=https://10.99.0.1:8443 slipway.token=c0ffee "
         "slipway.mac=52:54:00:51:00:01 slipway.reboot-after=5",
         "-serial", "file:" + log.string()},
        {.timeout = 150s});
    ASSERT_TRUE(ended.ok()) << ended.error().describe();
    auto serial = read_text_file(log).value_or("");
    EXPECT_EQ(ended->exit_code, 0) << serial;
    EXPECT_NE(serial.find("waiting for the network card 52:54:00:51:00:01"), std::string::npos) << serial;
    EXPECT_NE(serial.find("the server was not reached within 5 s: restarting the machine"), std::string::npos)
        << serial;
}

// The whole way: PXE, script, kernel and ramdisk by HTTP or (when HTTP has only the script) by TFTP, the agent.
class NetworkBootLab : public RamdiskLab {};

TEST_P(NetworkBootLab, from_power_on_to_the_agent) {
    bool by_http = std::string_view(GetParam().nic) == "http";
    auto dir = TempDir::create("ramdisk").value();
    ASSERT_TRUE(write_file_atomic(dir / "agent", as_bytes(kAgent), 0755).ok());
    ASSERT_TRUE(write_file_atomic(dir / "ca.pem", as_bytes("CA\n")).ok());
    ASSERT_TRUE(write_file_atomic(dir / "disk", Bytes(1 << 20)).ok());
    auto built = build_ramdisk({.agent = dir / "agent", .ca = dir / "ca.pem", .output = dir / "boot", .level = 3});
    ASSERT_TRUE(built.ok()) << built.error().describe();

    const auto ours = *Ipv4Address::parse("10.99.0.1");
    const auto mac = *MacAddress::parse("52:54:00:51:00:01");
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    auto begun = Instant::clock::now();
    auto note = [&](const std::string& what) {
        std::printf("%6.1f s  %s\n", std::chrono::duration<double>(Instant::clock::now() - begun).count(),
                    what.c_str());
        std::fflush(stdout);
    };
    auto router = std::make_shared<http::Router>();
    router->add("GET", "/ready", [&](http::Request r, http::Responder out) {
        out.send(http::Response::text(200, "go on\n"));
        note("agent, " + r.query_value("free") + " kB free");
        std::lock_guard lock(mutex);
        ready = true;
        changed.notify_all();
    });
    router->add("GET", "/boot/script", [&](http::Request, http::Responder out) {
        note("script");
        pxe::AgentBoot boot{.server = ours, .mac = mac, .token = "c0ffee", .ramdisk = "ramdisk/default"};
        boot.now = SystemClock().wall();
        out.send(http::Response::text(200, pxe::agent_script(boot).value()));
    });
    router->add("GET", "/boot/{file...}", [&](http::Request r, http::Responder out) {
        auto fd = open_fd(dir.path() / "boot" / r.parameter("file"), O_RDONLY);
        if (!by_http || !fd.ok()) return out.send(http::Response::text(404, "not here\n"));
        note("HTTP " + r.path);
        http::Response answer;
        answer.file = http::FileBody{std::make_shared<UniqueFd>(std::move(*fd)),
                                     std::filesystem::file_size(dir.path() / "boot" / r.parameter("file"))};
        out.send(std::move(answer));
    });
    http::Server http(1);
    ASSERT_TRUE(http.listen({.address = "10.99.0.1", .port = 8480}, router).ok());
    pxe::NetbootOptions options;
    options.interfaces = {{"br0", ours}};
    options.decide = [&](const MacAddress& m, const pxe::ClientFacts&) {
        return pxe::Decision(m == mac ? pxe::Action::Agent : pxe::Action::Ignore);
    };
    options.boot_file = [&](const std::string& name, const UdpEndpoint&, Ipv4Address) {
        note("TFTP " + name);
        return tftp::open_below(dir / "boot", name);
    };
    auto service = pxe::NetbootService::create(std::move(options));
    ASSERT_TRUE(service.ok()) << service.error().describe();
    (*service)->start();

    ASSERT_TRUE(run_checked({kLab + "net", "tap", id, "tap0"}).ok());
    auto metal = [&](std::vector<std::string> words) {
        words.insert(words.begin(), kLab + "metal");
        words.insert(words.begin() + 2, {"--state-dir", (dir / "machine").string()});
        auto done = run_checked(words);
        EXPECT_TRUE(done.ok()) << done.error().describe();
    };
    metal({"define", "--disk", (dir / "disk").string(), "--boot", "network", "--netns", "slab-" + id, "--tap", "tap0",
           "--memory", "128"});
    begun = Instant::clock::now();
    metal({"power", "on"});
    {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(changed.wait_for(lock, 150s, [&] { return ready; }))
            << run_checked({kLab + "metal", "text", "--state-dir", (dir / "machine").string()}).value_or("");
    }
    metal({"down"});
}

INSTANTIATE_TEST_SUITE_P(Ways, NetworkBootLab, testing::Values(Case{"http", "", ""}, Case{"tftp", "", ""}),
                         [](const auto& info) { return std::string(info.param.nic); });

INSTANTIATE_TEST_SUITE_P(Machines, RamdiskLab,
                         testing::Values(Case{"e1000", "megasas,id=c0", "scsi-hd,drive=d0,bus=c0.0"},
                                         Case{"virtio-net-pci", "virtio-blk-pci,drive=d0", "virtio-rng-pci"}));
