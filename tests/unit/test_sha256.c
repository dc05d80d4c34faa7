// SPDX-License-Identifier: Apache-2.0
// SHA-256 against the examples of FIPS 180-4 and its own pieces in all splits.
#include "unit.h"

#include "base/sha256.h"

static void digest_of(const void *data, size_t size, size_t step, char ret_hex[SHA256_HEX_SIZE])
{
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];
    sha256_init(&hash);
    for (size_t at = 0; at < size; at += step)
        sha256_update(&hash, (const char *)data + at, size - at < step ? size - at : step);
    sha256_final(&hash, digest);
    sha256_hex(digest, ret_hex);
}

static void examples_of_the_standard(void **state)
{
    static const struct {
        const char *text;
        const char *hex;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char hex[SHA256_HEX_SIZE];
        digest_of(rows[i].text, strlen(rows[i].text), 1000, hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

static void a_million_a(void **state)
{
    char hex[SHA256_HEX_SIZE];
    char *text = malloc(1000000);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', 1000000);
    digest_of(text, 1000000, 999, hex);
    free(text);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void splits_do_not_matter(void **state)
{
    char text[300], whole[SHA256_HEX_SIZE], parts[SHA256_HEX_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    for (size_t size = 0; size < sizeof(text); size++)
        for (size_t step = 1; step < 130; step += 9) {
            digest_of(text, size, sizeof(text), whole);
            digest_of(text, size, step, parts);
            assert_string_equal(whole, parts);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(a_million_a),
        cmocka_unit_test(splits_do_not_matter),
    };
    return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
