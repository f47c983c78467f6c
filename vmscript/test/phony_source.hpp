// SPDX-License-Identifier: GPL-3.0-or-later
// The inventory of a machine that can be migrated without a word: tests spoil one thing at a time.
#pragma once

#include "gatherhw/model.hpp"
#include "vmscript/switches.hpp"

namespace slipway::vmscript {
gatherhw::Inventory good_source();
gatherhw::Inventory good_windows();  // Server 2008 R2, BIOS
Switches good_switches();            // --hwgeneratep2v with what is required
}  // namespace slipway::vmscript
