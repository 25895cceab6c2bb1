// Without an operating system the product gives the room.
static uint8_t room[1 << 18];

static sampan_trap nothing(void *context, everything_instance *instance, int32_t number, double half, int32_t *result) {
    (void)context, (void)instance, (void)half;
    *result = number;
    return SAMPAN_OK;
}

int32_t run(void) {
    everything_imports imports = {0, nothing, 0, 0, 0, 0};
    everything_instance *instance;
    int32_t sum = 0;
    if (everything_instance_new(&imports, NULL, room, sizeof room, &instance) != SAMPAN_OK) return -1;
    everything_add(instance, 2, 3, &sum);
    everything_instance_free(instance);
    return sum;
}
