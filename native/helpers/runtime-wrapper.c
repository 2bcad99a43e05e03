/*
 * Starts an OCI runtime in a mount namespace of its own in which the cgroup v2 mount of a hybrid host is not there.
 *
 * crun refuses hosts that mount cgroup v1 hierarchies and, beside them, a cgroup v2 one that still offers controllers.
 * The host's mounts stay as they are: the cgroup folder's mounts become slaves in the new namespace, so what is detached
 * here is detached here only. All others keep their propagation, which volumes may have been asked to use.
 *
 * With WHERRY_OOM_SCORE_ADJ the runtime, and what it starts, has that score: crun sets none for the processes of `exec`.
 *
 *   WHERRY_RUNTIME=/usr/bin/crun runtime-wrapper ARGUMENTS...    exec /usr/bin/crun ARGUMENTS...
 *   runtime-wrapper --probe                                      exit 0: used as the program of a trial container
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static const char *const cgroups = "/sys/fs/cgroup";
static const char *const unified = "/sys/fs/cgroup/unified";

static int set_score(const char *score) {
  FILE *file = fopen("/proc/self/oom_score_adj", "w");
  if (file == NULL) return -1;
  int written = fputs(score, file);
  return fclose(file) < 0 || written < 0 ? -1 : 0;
}

static int fail(const char *step) {
  fprintf(stderr, "runtime-wrapper: %s: %s\n", step, strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--probe") == 0) return 0;
  char *runtime = getenv("WHERRY_RUNTIME");
  if (runtime == NULL || *runtime != '/') {
    errno = EINVAL;
    return fail("WHERRY_RUNTIME");
  }
  if (unshare(CLONE_NEWNS) < 0) return fail("unshare");
  if (mount("none", cgroups, NULL, MS_REC | MS_SLAVE, NULL) < 0) return fail(cgroups);
  /* EINVAL, ENOENT: nothing is mounted there, so there is nothing to hide. */
  if (umount2(unified, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT) return fail(unified);
  const char *score = getenv("WHERRY_OOM_SCORE_ADJ");
  if (score != NULL && set_score(score) < 0) return fail("oom_score_adj");
  argv[0] = runtime;
  execv(runtime, argv);
  return fail(runtime);
}
