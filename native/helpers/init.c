/*
 * The first process of a container that was asked for one (`--init`): starts the command, hands it every signal it is
 * sent, takes away processes that ended without a parent, and ends as the command does.
 *
 *   init -- COMMAND [ARGUMENTS...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *step) {
  fprintf(stderr, "init: %s: %s\n", step, strerror(errno));
}

/* A group of its own, in front of the terminal if there is one: an interrupt typed there reaches the command alone. */
static int run(char **command, const sigset_t *mask) {
  if (setpgid(0, 0) < 0) fail("setpgid");
  signal(SIGTTOU, SIG_IGN);
  if (tcsetpgrp(STDIN_FILENO, getpgrp()) < 0 && errno != ENOTTY && errno != ENXIO && errno != EBADF && errno != ENOSYS)
    fail("tcsetpgrp");
  signal(SIGTTOU, SIG_DFL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(command[0], command);
  fail(command[0]);
  return errno == ENOENT || errno == ENOTDIR ? 127 : 126;
}

/* The command's exit code once it has ended, -1 while it runs. */
static int reap(pid_t command) {
  int status, code = -1;
  for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (ended != command) continue;
    if (WIFEXITED(status)) code = WEXITSTATUS(status);
    else if (WIFSIGNALED(status)) code = 128 + WTERMSIG(status);
  }
  return code;
}

int main(int argc, char **argv) {
  if (argc < 3 || strcmp(argv[1], "--") != 0) {
    fprintf(stderr, "usage: init -- COMMAND [ARGUMENTS...]\n");
    return 125;
  }
  sigset_t all, before;
  sigfillset(&all);
  /* Faults of this program itself have nobody to be handed to. */
  for (const int *own = (const int[]){SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, 0}; *own; own++) sigdelset(&all, *own);
  sigprocmask(SIG_SETMASK, &all, &before);
  /* Where another process is the first, in a shared PID namespace, orphans come here all the same. */
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t command = fork();
  if (command < 0) {
    fail("fork");
    return 125;
  }
  if (command == 0) return run(argv + 2, &before);
  for (;;) {
    siginfo_t signal_info;
    int number = sigwaitinfo(&all, &signal_info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      if (kill(command, number) < 0 && errno != ESRCH) fail("kill");
      continue;
    }
    int code = reap(command);
    if (code >= 0) return code;
  }
}
