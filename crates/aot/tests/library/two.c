#include "everything.h"
#include "other.h"

static other_instance *inner;

static sampan_trap nothing(void *context, other_instance *instance, int32_t number, double half, int32_t *result) {
    (void)context, (void)instance, (void)half;
    *result = number;
    return SAMPAN_OK;
}

// Called by one library: the other one traps meanwhile.
static sampan_trap ask(void *context, everything_instance *instance, int32_t number, double half, int32_t *result) {
    (void)context, (void)instance, (void)half;
    sampan_trap trap = number == 0 ? other_down(inner, 1, result) : other_peek(inner, -1, result);
    printf("inner: %s\n", sampan_trap_message(trap));
    return trap == SAMPAN_OK ? SAMPAN_OK : SAMPAN_TRAP_HOST;
}

int main(void) {
    everything_imports imports;
    memset(&imports, 0, sizeof imports);
    imports.env_log = ask;
    other_imports others;
    memset(&others, 0, sizeof others);
    others.env_log = nothing;
    everything_instance *outer;
    int32_t a = 0, b = 0;
    if (everything_instance_new(&imports, NULL, &outer) != SAMPAN_OK) return 1;
    if (other_instance_new(&others, NULL, &inner) != SAMPAN_OK) return 1;
    for (int number = 0; number < 2; number++) {
        printf("outer: %s\n", sampan_trap_message(everything_say(outer, number, &a)));
    }
    everything_add(outer, 2, 3, &a);
    other_add(inner, 2, 3, &b);
    printf("still: %d %d\n", a, b);
    everything_instance_free(outer);
    other_instance_free(inner);
    return 0;
}
