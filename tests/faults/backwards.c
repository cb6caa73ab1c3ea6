/* Preloaded into a process, its wall clock runs backwards, ten times as fast as time goes by, from BACKWARDS_FROM
   (seconds since 1970) on; and so do the moments that it gives to files. The monotonic clock stays as it is. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct timespec backwards(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    const char *from = getenv("BACKWARDS_FROM");
    double start = from ? atof(from) : 0.0;
    double turned = start - 10.0 * ((double)now.tv_sec + (double)now.tv_nsec / 1e9 - start);
    struct timespec shown = {(time_t)turned, (long)((turned - (double)(time_t)turned) * 1e9)};
    return shown;
}

int clock_gettime(clockid_t clock, struct timespec *shown) {
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        *shown = backwards();
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, shown);
}

int gettimeofday(struct timeval *restrict shown, void *restrict zone) {
    (void)zone;
    struct timespec now = backwards();
    shown->tv_sec = now.tv_sec;
    shown->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *shown) {
    time_t now = backwards().tv_sec;
    if (shown) *shown = now;
    return now;
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    struct timespec now = backwards();
    struct timespec both[2] = {now, now};
    return (int)syscall(SYS_utimensat, folder, path, times ? times : both, flags);
}
