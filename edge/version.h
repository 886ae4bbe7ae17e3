/* SPDX-License-Identifier: GPL-3.0-or-later
 * version.h - of the program; that of the module ABI is in core/module.h.
 */
#pragma once
#define RINGRESS_VERSION "0.1.0"
