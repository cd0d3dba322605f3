// What Glibc's own module map leaves out of the Linux headers.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <linux/filter.h>

// <sys/mman.h> declares these for _GNU_SOURCE only, and is Glibc's.
int memfd_create(const char *name, unsigned int flags);
#define MFD_CLOEXEC 1U

// So does <spawn.h>.
#include <spawn.h>
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
