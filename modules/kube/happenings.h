/* SPDX-License-Identifier: GPL-3.0-or-later
 * happenings.h - Events: what `ringress get events` says, and what befell pods, told about the objects that people look at. Pure.
 */
#pragma once
#include "modules/kube/parts.h"

void happenings_add(struct making *);
