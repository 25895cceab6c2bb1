// with: pcre2
// A regular-expression engine, PCRE2, over a text of words, numbers and addresses: an interpreter with a stack of its own.
#include "../bench/bench.h"
#include "pcre2.h"

enum { TEXT_BYTES = 40000, REPEATS = 8 };

static char text[TEXT_BYTES];

static const char *const patterns[] = {
    "(?i)\\b(?:north|south|east|west)\\w*\\b",
    "[a-z0-9._]+@[a-z0-9]+(?:\\.[a-z]{2,4})+",
    "(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})",
    "\\b(\\w)\\w*\\1\\b",
    "(?<=\\s)[aeiou][^aeiou\\s]+(?=\\s+\\d)",
    "^(?:\\S+\\s+){3}(\\d+)",
    "\"(?:[^\"\\\\]|\\\\.)*\"",
};

static const char *const words[] = {
    "the", "river", "Northern", "\"of \\\"old\\\" men\"", "east", "ada.l@mail.example.org", "10.20.3.244", "level",
    "and", "42", "1815", "otto", "westward", "\n", "a_b@c", "inner",
};

static void write_text(void) {
    uint32_t seed = 1;
    size_t length = 0;
    for (;;) {
        seed = seed * 1664525u + 1013904223u;
        const char *word = words[seed >> 28];
        if (length + strlen(word) + 1 > TEXT_BYTES)
            break;
        length += (size_t)snprintf(text + length, TEXT_BYTES - length, "%s", word);
        text[length++] = ' ';
    }
    memset(text + length, ' ', TEXT_BYTES - length);
}

// Where all matches are, and their groups.
static uint64_t find_all(const char *pattern, uint64_t sum) {
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_MULTILINE, &error, &at, NULL);
    if (!code)
        exit(1);
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
    const PCRE2_SIZE *groups = pcre2_get_ovector_pointer(match);
    for (at = 0; at < TEXT_BYTES; at = groups[1]) {
        int count = pcre2_match(code, (PCRE2_SPTR)text, TEXT_BYTES, at, 0, match, NULL);
        if (count < 0)
            break;
        for (int i = 0; i < 2 * count; i++) {
            uint64_t place = groups[i];
            sum = checksum(sum, &place, sizeof place);
        }
    }
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return sum;
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    write_text();
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
            sum = find_all(patterns[i], sum);
    print_checksum(sum);
    return 0;
}
