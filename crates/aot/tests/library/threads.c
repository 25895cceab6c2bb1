#include <pthread.h>
#include <sched.h>

static sampan_trap nothing(void *context, everything_instance *instance, int32_t number, double half, int32_t *result) {
    (void)context, (void)instance, (void)half;
    *result = number;
    return SAMPAN_OK;
}

static everything_instance *make(void) {
    everything_imports imports;
    memset(&imports, 0, sizeof imports);
    imports.env_log = nothing;
    everything_instance *instance;
    if (everything_instance_new(&imports, NULL, &instance) != SAMPAN_OK) exit(1);
    return instance;
}

// Each makes one, traps in it by a fault of its own stack and memory, and counts in it.
static void *work(void *argument) {
    bool *well = (bool *)argument;
    everything_instance *instance = make();
    int32_t a;
    *well = true;
    for (int turn = 0; turn < 100; turn++) {
        *well = *well && everything_peek(instance, -1, &a) == SAMPAN_TRAP_MEMORY_OUT_OF_BOUNDS;
        everything_counter_set(instance, everything_counter(instance) + 1);
    }
    *well = *well && everything_down(instance, 1, &a) == SAMPAN_TRAP_STACK_OVERFLOW;
    *well = *well && everything_counter(instance) == 107;
    everything_instance_free(instance);
    return NULL;
}

static void *forever(void *argument) {
    static sampan_trap trap;
    trap = everything_forever((everything_instance *)argument);
    return &trap;
}

int main(void) {
    bool all = true;
    // More than once: a thread that ends gives back what it had.
    for (int turn = 0; turn < 50; turn++) {
        pthread_t threads[4];
        bool well[4];
        for (int index = 0; index < 4; index++) pthread_create(&threads[index], NULL, work, &well[index]);
        for (int index = 0; index < 4; index++) pthread_join(threads[index], NULL), all = all && well[index];
    }
    printf("each thread has its own: %d\n", all);

    everything_instance *instance = make();
    pthread_t thread;
    void *trap;
    pthread_create(&thread, NULL, forever, instance);
    // Whether it has begun or not: it ends.
    while (everything_instance_interrupt(instance)) sched_yield();
    pthread_join(thread, &trap);
    printf("a loop was ended: %s\n", sampan_trap_message(*(sampan_trap *)trap));
    int32_t a = 0;
    printf("and all later calls: %s\n", sampan_trap_message(everything_add(instance, 2, 3, &a)));
    everything_instance_resume(instance);
    everything_add(instance, 2, 3, &a);
    printf("until it is resumed: %d\n", a);
    everything_instance_free(instance);
    return 0;
}
