/* Preloaded into the run's processes: their clock is ahead by the seconds that stand in a file, which all of them map.

   What is measured rather than dated (CLOCK_MONOTONIC) goes on as it does when somebody sets a machine's clock. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *file;

__attribute__((constructor)) static void map_file(void)
{
	const char *path = getenv("CHAOS_CLOCK");
	int opened = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (opened < 0)
		return;
	void *mapped = mmap(NULL, sizeof *file, PROT_READ, MAP_SHARED, opened, 0);
	close(opened);
	if (mapped != MAP_FAILED)
		file = mapped;
}

static int64_t ahead(void)
{
	return file ? __atomic_load_n(file, __ATOMIC_RELAXED) : 0;
}

int clock_gettime(clockid_t which, struct timespec *found)
{
	int failed = (int)syscall(SYS_clock_gettime, which, found);
	if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		found->tv_sec += ahead();
	return failed;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now))
		return -1;
	found->tv_sec = now.tv_sec;
	found->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *found)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (found)
		*found = now.tv_sec;
	return now.tv_sec;
}

/* Python before 3.11 waits for a lock until a time of this clock; the kernel knows the right one. */
int sem_timedwait(sem_t *restrict waited, const struct timespec *restrict until)
{
	struct timespec now, end;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &end);
	end.tv_sec += until->tv_sec - ahead() - now.tv_sec;
	end.tv_nsec += until->tv_nsec - now.tv_nsec;
	for (; end.tv_nsec < 0; end.tv_nsec += 1000000000)
		end.tv_sec--;
	for (; end.tv_nsec >= 1000000000; end.tv_nsec -= 1000000000)
		end.tv_sec++;
	return sem_clockwait(waited, CLOCK_MONOTONIC, &end);
}
