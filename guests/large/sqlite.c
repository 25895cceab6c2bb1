// with: sqlite
// SQLite in memory: rows put in, an index, joins, groups, and text searched by a pattern.
#include "../bench/bench.h"
#include "sqlite3.h"

enum { REPEATS = 1 };

// Of the operating system it is given nothing: no files, and neither time nor chance, so that all runs are the same.
static int no_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out) { return SQLITE_CANTOPEN; }
static int full_name(sqlite3_vfs *vfs, const char *name, int bytes, char *out) {
    return snprintf(out, (size_t)bytes, "%s", name) < bytes ? SQLITE_OK : SQLITE_CANTOPEN;
}
static int no_chance(sqlite3_vfs *vfs, int bytes, char *out) {
    memset(out, 7, (size_t)bytes);
    return bytes;
}
static int no_time(sqlite3_vfs *vfs, double *out) {
    *out = 0;
    return SQLITE_OK;
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(sqlite3_file),
    .mxPathname = 64,
    .zName = "none",
    .xOpen = no_file,
    .xFullPathname = full_name,
    .xRandomness = no_chance,
    .xCurrentTime = no_time,
};

int sqlite3_os_init(void) { return sqlite3_vfs_register(&vfs, 1); }
int sqlite3_os_end(void) { return SQLITE_OK; }

static const char *const statements[] = {
    "create table orders (id integer primary key, customer int, item int, amount real, note text)",
    "create table items (id integer primary key, name text, price real)",
    "with recursive n(i) as (select 0 union all select i + 1 from n where i < 299)"
    " insert into items select i, 'item ' || (i * 7919 % 300), i * 0.37 from n",
    "with recursive n(i) as (select 0 union all select i + 1 from n where i < 4999)"
    " insert into orders select i, i * 31 % 257, i * 17 % 300, i % 13 * 1.5, 'note ' || hex(i * 2654435761 % 65536) from n",
    "create index by_customer on orders (customer, item)",
    "update orders set amount = amount + 1 where customer % 3 = 0",
    "select customer, count(*), sum(amount * price) from orders join items on item = items.id"
    " group by customer having count(*) > 3 order by 3 desc limit 20",
    "select count(*), max(note) from orders where note like '%A%7%'",
    "select a.id, b.id from orders a join orders b on a.customer = b.customer and a.item = b.item and a.id < b.id"
    " order by a.amount, a.id, b.id limit 50",
    "select name, (select count(*) from orders where item = items.id and amount > 5) n from items order by n, name limit 30",
    "delete from orders where id % 5 = 0",
    "select sum(length(note)), total(amount), count(distinct item) from orders",
};

static uint64_t sum = CHECKSUM_START;

// Text in whole words, of which the last one ends in zeros.
static void add(const char *text) {
    char word[8];
    for (size_t at = 0, length = strlen(text); at < length; at += 8) {
        strncpy(word, text + at, 8);
        sum = checksum(sum, word, 8);
    }
}

static int each_row(void *unused, int columns, char **values, char **names) {
    for (int i = 0; i < columns; i++)
        add(values[i] ? values[i] : "null");
    return 0;
}

static void work(void) {
    sqlite3 *database;
    char *message = "cannot open";
    int result = sqlite3_open(":memory:", &database);
    for (size_t i = 0; result == SQLITE_OK && i < sizeof statements / sizeof *statements; i++)
        result = sqlite3_exec(database, statements[i], each_row, NULL, &message);
    if (result != SQLITE_OK) {
        fprintf(stderr, "%s\n", message);
        exit(1);
    }
    sqlite3_close(database);
}

int main(int argc, char **argv) {
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        work();
    print_checksum(sum);
    return 0;
}
