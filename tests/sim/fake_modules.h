/* SPDX-License-Identifier: GPL-3.0-or-later
 * fake_modules.h - which module every connection of the simulation meets.
 */
#pragma once
#include "core/process.h"

extern const struct ringress_module *fake_module;
