#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;

static void own_handler(int number) { siglongjmp(back, number); }

static sampan_trap fail(void *context, everything_instance *instance, int32_t number, double half, int32_t *result) {
    (void)context, (void)half;
    if (number == 0) return (sampan_trap)12345; // what is no trap is no success either
    everything_instance_free(instance); // from inside: nothing happens
    *result = 0;
    return SAMPAN_OK;
}

static void tell(sampan_trap trap) { printf("%s\n", sampan_trap_message(trap)); }

int main(void) {
    signal(SIGSEGV, own_handler);
    everything_imports imports;
    memset(&imports, 0, sizeof imports);
    imports.env_log = fail;
    everything_instance *instance, *none;
    if (everything_instance_new(&imports, NULL, &instance) != SAMPAN_OK) return 1;
    int32_t a;
    tell(everything_stop(instance));
    tell(everything_peek(instance, 65533, &a));
    tell(everything_fill(instance, -1));
    tell(everything_sizes_at(instance, 65533, &a)); // where WASI would write
    tell(everything_through(instance, 9));
    tell(everything_through(instance, 2));
    tell(everything_through(instance, 1));
    tell(everything_divide(instance, 1, 0, &a));
    tell(everything_divide(instance, INT32_MIN, -1, &a));
    tell(everything_truncate(instance, 0.0 / 0.0, &a));
    tell(everything_down(instance, 1, &a));
    tell(everything_down(instance, 1, &a));
    tell(everything_clear(instance, 99));
    tell(everything_say(instance, 0, &a));
    everything_add(instance, 2, 3, &a);
    printf("still: %d\n", a);
    printf("exit: %s\n", sampan_trap_message(everything_exit(instance)));

    sampan_limits little = {1000, 0, 0}, two_pages = {2 << 16, 0, 0};
    sampan_trap trap = everything_instance_new(&imports, &little, &none);
    printf("too little memory: %s %d\n", sampan_trap_message(trap), none == NULL);
    if (everything_instance_new(&imports, &two_pages, &none) != SAMPAN_OK) return 1;
    everything_grow(none, 2, &a);
    printf("no more than two pages: %d\n", a);
    everything_instance_free(none);

    trap = everything_say(instance, 1, &a);
    everything_add(instance, 2, 3, &a);
    printf("freed from inside: %s, and still %d\n", sampan_trap_message(trap), a);
    everything_instance_free(instance);

    if (sigsetjmp(back, 1) == 0) {
        *(volatile int *)1 = 1;
        printf("another's fault: nothing came of it\n");
    } else {
        printf("another's fault: handled\n");
    }
    return 0;
}
