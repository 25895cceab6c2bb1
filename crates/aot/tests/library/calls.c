static sampan_trap say(void *context, everything_instance *instance, int32_t number, double half, int32_t *result) {
    printf("log from %s: %d %g\n", (const char *)context, number, half);
    if (number == 13) return SAMPAN_TRAP_HOST;
    if (number == 14) return everything_add(instance, 4, 5, result);
    *result = number * 2;
    return SAMPAN_OK;
}

int main(void) {
    everything_imports imports;
    memset(&imports, 0, sizeof imports);
    everything_instance *instance, *other;
    printf("missing: %s\n", everything_missing_import(&imports));
    printf("without imports: %s\n", sampan_trap_message(everything_instance_new(NULL, NULL, &instance)));
    char context[] = "ctx";
    imports.context = context;
    imports.env_log = say;
    printf("instance: %s\n", sampan_trap_message(everything_instance_new(&imports, NULL, &instance)));
    // The imports were copied.
    memset(&imports, 0xff, sizeof imports);

    int32_t a, b, c;
    int64_t wide;
    float half;
    double whole;
    everything_add(instance, 2, 3, &a);
    printf("add: %d\n", a);
    everything_pair(instance, 1.5f, &wide, &half);
    printf("pair: %lld %g\n", (long long)wide, half);
    everything_free(instance, 8, &a);
    printf("a function called free: %d\n", a);
    everything_double(instance, 0.375, &whole);
    printf("double: %g\n", whole);
    everything_say(instance, 21, &a);
    printf("say: %d\n", a);
    printf("say: %s\n", sampan_trap_message(everything_say(instance, 13, &a)));
    everything_say(instance, 14, &a);
    printf("again: %d\n", a);
    everything_denied(instance, &a, &b, &c);
    printf("denied: %d %d %d\n", a, b, c);
    everything_memory_read(instance, 64, &a, 4);
    everything_memory_read(instance, 68, &b, 4);
    printf("no arguments: %d %d\n", a, b);
    for (int pages = 1; pages < 6; pages += 4) {
        everything_grow(instance, pages, &a);
        printf("grow: %d, %zu bytes\n", a, everything_memory_size(instance));
    }
    a = everything_counter(instance);
    everything_counter_set(instance, 9);
    printf("counter: %d %d\n", a, everything_counter(instance));
    char text[4] = "abc";
    bool written = everything_memory_write(instance, 131068, text, 4);
    bool beyond = everything_memory_write(instance, 131069, text, 4);
    bool far = everything_memory_read(instance, UINT32_MAX, text, SIZE_MAX);
    printf("copies: %d %d %d %s\n", written, beyond, far, (char *)everything_memory(instance) + 131068);
    printf("ignored result: %s\n", sampan_trap_message(everything_add(instance, 1, 2, NULL)));

    memset(&imports, 0, sizeof imports);
    imports.env_log = say;
    everything_instance_new(&imports, NULL, &other);
    everything_counter_set(instance, 100);
    printf("two instances: %d %d\n", everything_counter(instance), everything_counter(other));
    everything_instance_free(instance);
    everything_instance_free(other);
    everything_instance_free(NULL);
    return 0;
}
