// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/table/parted.hpp"

#include <mutex>

#include <parted/parted.h>

#include "lib/base/strings.hpp"

namespace slipway::disks {

namespace {

std::mutex mutex;          // held by the session
std::string last_message;  // under it
PedExceptionHandler* before = nullptr;

PedExceptionOption answer(PedException* exception) {
    last_message = exception->message ? exception->message : "";
    for (auto option : {PED_EXCEPTION_FIX, PED_EXCEPTION_IGNORE})
        if (exception->options & option) return option;
    return PED_EXCEPTION_UNHANDLED;
}

}  // namespace

PartedSession::PartedSession() {
    mutex.lock();
    last_message.clear();
    before = ped_exception_get_handler();
    ped_exception_set_handler(answer);
}

PartedSession::~PartedSession() {
    ped_exception_set_handler(before);
    mutex.unlock();
}

std::string PartedSession::message() { return last_message.empty() ? "libparted refused" : printable(last_message); }

}  // namespace slipway::disks
