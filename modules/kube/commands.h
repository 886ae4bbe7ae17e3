/* SPDX-License-Identifier: GPL-3.0-or-later
 * commands.h - `ringress kubeconfig` and `ringress token`, as the admin socket asks for them. Control thread.
 */
#pragma once
#include "modules/kube/conf.h"
#include "modules/kube/paper.h"

void commands_open(const struct kube_conf *, const struct paper *); /* takes what is in the paper */
void commands_close(void);
char *commands_answer(const char *command, const char *const *word, const char *tenant);
