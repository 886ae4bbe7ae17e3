/* SPDX-License-Identifier: GPL-3.0-or-later
 * dns_update.c - the answer to a DNS UPDATE, which may be anybody's bytes: nothing but a signed answer is a success.
 * link: modules/acme/update.c
 */
#include "modules/acme/update.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t mac[UPDATE_MAC_LENGTH] = {1, 2, 3};
    struct tsig_key key = {.name = "acme.key", .secret = "not in the corpus", .secret_length = 17};
    char why[64];
    uint8_t *copy =
        malloc(size ? size : 1); /* of its very length, so that a byte past it is noticed */
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    uint16_t id = size > 1 ? (uint16_t)(copy[0] << 8 | copy[1]) : 0;
    enum update_answer answer = update_read(copy, size, id, &key, mac, 1000, why);
    if (answer == UPDATE_DONE || strlen(why) >= sizeof why)
        abort();
    free(copy);
    return 0;
}
