// Integer work in the spirit of CoreMark, written afresh: linked lists, matrices, a state machine, a checksum.
#include "bench.h"

enum { REPEATS = 1700, ITEMS = 256, ORDER = 24, TEXT_BYTES = 2048 };

static uint32_t seed = 12345;

static uint32_t next(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

// CRC-32 bit by bit, reflected: each piece of work feeds its result in here.
static uint32_t crc(uint32_t sum, uint32_t word) {
    sum ^= word;
    for (int bit = 0; bit < 32; bit++)
        sum = (sum >> 1) ^ (0xedb88320u & -(sum & 1));
    return sum;
}

// --- lists: find, reverse, merge sort by a comparison passed in -----------------------------------------------------

struct item {
    struct item *next;
    int32_t key, value;
};

typedef int (*comparison)(const struct item *, const struct item *);

static struct item items[ITEMS];

static int by_key(const struct item *a, const struct item *b) { return a->key < b->key ? -1 : a->key > b->key; }
static int by_value(const struct item *a, const struct item *b) {
    return a->value < b->value ? -1 : a->value > b->value;
}

static struct item *link_all(void) {
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){i + 1 < ITEMS ? &items[i + 1] : NULL, (int32_t)(next() % 1000), i};
    return items;
}

static struct item *merge(struct item *a, struct item *b, comparison compare) {
    struct item head, *last = &head;
    while (a && b) {
        struct item **less = compare(a, b) <= 0 ? &a : &b;
        last = last->next = *less;
        *less = last->next;
    }
    last->next = a ? a : b;
    return head.next;
}

static struct item *sort(struct item *list, comparison compare) {
    if (!list || !list->next)
        return list;
    struct item *middle = list;
    for (struct item *end = list->next; end && end->next; end = end->next->next)
        middle = middle->next;
    struct item *second = middle->next;
    middle->next = NULL;
    return merge(sort(list, compare), sort(second, compare), compare);
}

static struct item *reverse(struct item *list) {
    struct item *reversed = NULL;
    while (list) {
        struct item *rest = list->next;
        list->next = reversed;
        reversed = list;
        list = rest;
    }
    return reversed;
}

static uint32_t work_lists(uint32_t sum) {
    struct item *list = sort(reverse(link_all()), by_key);
    for (int i = 0; i < 16; i++) {
        int32_t wanted = (int32_t)(next() % 1000);
        const struct item *found = list;
        while (found && found->key < wanted)
            found = found->next;
        sum = crc(sum, found ? (uint32_t)found->value : 0);
    }
    for (list = sort(list, by_value); list; list = list->next)
        if (list->value % 16 == 0)
            sum = crc(sum, (uint32_t)list->key);
    return sum;
}

// --- matrices: 16-bit elements, 32-bit products ---------------------------------------------------------------------

static int16_t left[ORDER][ORDER], right[ORDER][ORDER];
static int32_t product[ORDER][ORDER];

static uint32_t work_matrices(uint32_t sum) {
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++) {
            left[i][j] = (int16_t)next();
            right[i][j] = (int16_t)(next() & 0xff);
        }
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++) {
            int32_t dot = 0;
            for (int k = 0; k < ORDER; k++)
                dot += (left[i][k] >> 2) * right[k][j];
            product[i][j] = dot;
        }
    for (int i = 0; i < ORDER; i++)
        sum = crc(sum, (uint32_t)(product[i][i] ^ product[i][ORDER - 1 - i]));
    return sum;
}

// --- a state machine: counts the kinds of number in a text ----------------------------------------------------------

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, INVALID, STATES };

static char text[TEXT_BYTES];

static enum state advance(enum state state, char c) {
    int digit = c >= '0' && c <= '9';
    switch (state) {
    case START:
        return digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN:
        return digit ? DIGITS : c == '.' ? POINT : INVALID;
    case DIGITS:
        return digit ? DIGITS : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case POINT:
        return digit ? FRACTION : INVALID;
    case FRACTION:
        return digit ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT:
        return digit ? EXPONENT_DIGITS : c == '+' || c == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case EXPONENT_DIGITS:
        return digit ? EXPONENT_DIGITS : INVALID;
    default:
        return INVALID;
    }
}

static uint32_t work_text(uint32_t sum) {
    static const char alphabet[] = "0123456789+-.e,,";
    uint32_t ended_in[STATES] = {0};
    for (int i = 0; i < TEXT_BYTES; i++)
        text[i] = alphabet[next() % 16];
    enum state state = START;
    for (int i = 0; i < TEXT_BYTES; i++) {
        if (text[i] == ',') {
            ended_in[state]++;
            state = START;
        } else {
            state = advance(state, text[i]);
        }
    }
    for (int i = 0; i < STATES; i++)
        sum = crc(sum, ended_in[i]);
    return sum;
}

int main(int argc, char **argv) {
    uint32_t sum = 0;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        sum = work_text(work_matrices(work_lists(sum)));
    print_checksum(sum);
    return 0;
}
