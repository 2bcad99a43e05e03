/*
 * System calls Node lacks, as one Node-API (version 8) addon. Typed by src/sys/types.ts.
 *
 * Everything here is a thin, synchronous wrapper: arguments are checked, the call is made once (again on EINTR), a failure
 * throws an Error with Node's `code`, `errno`, `syscall` and `path`. Only readRecords, whenReadable and whenWritable live
 * longer than their call: each owns a duplicate of the caller's descriptor and one uv_poll handle on the loop of the
 * environment (main thread or worker) that called it.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <math.h>
#include <node_api.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>
#include <uv.h>

/* <sys/mount.h> and <linux/mount.h> cannot both be included with every libc; these two are all we need of it. */
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);

#define MAX_XATTR_VALUE 65536
#define NETLINK_REPLY_SECONDS 10
#define CONNECT_SECONDS 5
/* The kernel copies at most this much of an fsconfig(2) string value, its NUL included. */
#define FSCONFIG_VALUE_MAX 256

/* Repeats a call that a signal interrupted. */
#define RETRY(result, call)                                                                                            \
  do {                                                                                                                 \
    (result) = (call);                                                                                                 \
  } while ((result) < 0 && errno == EINTR)

/* errors ------------------------------------------------------------------------------------------------------------ */

struct error_name {
  int number;
  const char *name;
};

/* Codes the kernel gives that libuv has no name for. */
static const struct error_name more_errors[] = {
    {ENOTBLK, "ENOTBLK"}, {ECHILD, "ECHILD"},   {EUCLEAN, "EUCLEAN"},           {EBADMSG, "EBADMSG"},
    {ESTALE, "ESTALE"},   {EDQUOT, "EDQUOT"},   {EDEADLK, "EDEADLK"},           {ENOLCK, "ENOLCK"},
    {EBADFD, "EBADFD"},   {EREMCHG, "EREMCHG"}, {ENOMEDIUM, "ENOMEDIUM"},       {ENOKEY, "ENOKEY"},
    {EDOM, "EDOM"},       {ENOPKG, "ENOPKG"},   {EKEYREJECTED, "EKEYREJECTED"},
};

static const char *error_name(int number) {
  for (size_t i = 0; i < sizeof more_errors / sizeof *more_errors; i++)
    if (more_errors[i].number == number) return more_errors[i].name;
  return uv_err_name(-number);
}

/* Node's own wording where there is one. */
static const char *error_text(int number) {
  for (size_t i = 0; i < sizeof more_errors / sizeof *more_errors; i++)
    if (more_errors[i].number == number) return strerror(number);
  return uv_strerror(-number);
}

static void set_string(napi_env env, napi_value object, const char *key, const char *value) {
  napi_value text;
  if (napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text) == napi_ok)
    napi_set_named_property(env, object, key, text);
}

static void set_number(napi_env env, napi_value object, const char *key, double value) {
  napi_value number;
  if (napi_create_double(env, value, &number) == napi_ok) napi_set_named_property(env, object, key, number);
}

static napi_value make_error(napi_env env, int number, const char *syscall_name, const char *path, const char *detail) {
  char message[PATH_MAX + 2048];
  int used = snprintf(message, sizeof message, "%s: %s, %s", error_name(number), error_text(number), syscall_name);
  if (path != NULL && used < (int)sizeof message)
    used += snprintf(message + used, sizeof message - (size_t)used, " '%s'", path);
  if (detail != NULL && *detail != '\0' && used < (int)sizeof message)
    snprintf(message + used, sizeof message - (size_t)used, ": %s", detail);
  napi_value text, code, error;
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_string_utf8(env, error_name(number), NAPI_AUTO_LENGTH, &code);
  napi_create_error(env, code, text, &error);
  set_number(env, error, "errno", -number);
  set_string(env, error, "syscall", syscall_name);
  if (path != NULL) set_string(env, error, "path", path);
  return error;
}

static napi_value throw_errno(napi_env env, int number, const char *syscall_name, const char *path) {
  napi_throw(env, make_error(env, number, syscall_name, path, NULL));
  return NULL;
}

static napi_value throw_argument(napi_env env, const char *name, const char *want) {
  char message[160];
  snprintf(message, sizeof message, "the \"%s\" argument must be %s", name, want);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

/* arguments --------------------------------------------------------------------------------------------------------- */

struct path {
  char text[PATH_MAX];
};

struct bytes {
  uint8_t *data;
  size_t size;
};

static bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, args, NULL, NULL) != napi_ok) return false;
  if (given < count) {
    napi_throw_type_error(env, "ERR_MISSING_ARGS", "too few arguments");
    return false;
  }
  return true;
}

static bool get_bytes(napi_env env, napi_value value, const char *name, struct bytes *out) {
  bool is_typed = false;
  napi_typedarray_type type;
  size_t length;
  void *data;
  napi_is_typedarray(env, value, &is_typed);
  if (!is_typed || napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    throw_argument(env, name, "a Uint8Array");
    return false;
  }
  out->data = data;
  out->size = length;
  return true;
}

/* A path from a string (UTF-8) or from a Buffer (any bytes but NUL). */
static bool get_path(napi_env env, napi_value value, const char *name, struct path *out) {
  napi_valuetype type;
  size_t size;
  napi_typeof(env, value, &type);
  if (type == napi_string) {
    napi_get_value_string_utf8(env, value, NULL, 0, &size);
    if (size >= sizeof out->text) {
      throw_errno(env, ENAMETOOLONG, name, NULL);
      return false;
    }
    napi_get_value_string_utf8(env, value, out->text, sizeof out->text, &size);
  } else {
    struct bytes bytes;
    if (!get_bytes(env, value, name, &bytes)) return false;
    size = bytes.size;
    if (size >= sizeof out->text) {
      throw_errno(env, ENAMETOOLONG, name, NULL);
      return false;
    }
    memcpy(out->text, bytes.data, size);
    out->text[size] = '\0';
  }
  if (memchr(out->text, '\0', size) != NULL) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "a path or name must not contain NUL bytes");
    return false;
  }
  return true;
}

/* A string of any length; the caller frees it. */
static char *get_string(napi_env env, napi_value value, const char *name) {
  size_t size;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) {
    throw_argument(env, name, "a string");
    return NULL;
  }
  char *text = malloc(size + 1);
  if (text == NULL) {
    throw_errno(env, ENOMEM, "malloc", NULL);
    return NULL;
  }
  napi_get_value_string_utf8(env, value, text, size + 1, &size);
  if (strlen(text) != size) {
    free(text);
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "a string must not contain NUL bytes");
    return NULL;
  }
  return text;
}

static bool get_int(napi_env env, napi_value value, const char *name, int64_t *out) {
  if (napi_get_value_int64(env, value, out) == napi_ok) return true;
  throw_argument(env, name, "a number");
  return false;
}

static bool get_fd(napi_env env, napi_value value, int *out) {
  int64_t fd;
  if (!get_int(env, value, "fd", &fd)) return false;
  if (fd < 0 || fd > INT_MAX) {
    throw_errno(env, EBADF, "fd", NULL);
    return false;
  }
  *out = (int)fd;
  return true;
}

static bool get_time(napi_env env, napi_value value, const char *name, struct timespec *out) {
  napi_value sec, nsec;
  int64_t sec_value, nsec_value;
  if (napi_get_named_property(env, value, "sec", &sec) != napi_ok ||
      napi_get_named_property(env, value, "nsec", &nsec) != napi_ok) {
    throw_argument(env, name, "a { sec, nsec }");
    return false;
  }
  if (!get_int(env, sec, name, &sec_value) || !get_int(env, nsec, name, &nsec_value)) return false;
  out->tv_sec = sec_value;
  out->tv_nsec = nsec_value;
  return true;
}

static napi_value make_number(napi_env env, double value) {
  napi_value number;
  napi_create_double(env, value, &number);
  return number;
}

static napi_value make_boolean(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

static napi_value make_object(napi_env env) {
  napi_value object;
  napi_create_object(env, &object);
  return object;
}

/* mounts ------------------------------------------------------------------------------------------------------------ */

static const char *or_null(const char *text) { return *text == '\0' ? NULL : text; }

static napi_value do_mount(napi_env env, napi_callback_info info) {
  napi_value args[5];
  struct path source, target, type;
  int64_t flags;
  if (!get_args(env, info, 5, args) || !get_path(env, args[0], "source", &source) ||
      !get_path(env, args[1], "target", &target) || !get_path(env, args[2], "fsType", &type) ||
      !get_int(env, args[3], "flags", &flags))
    return NULL;
  char *data = get_string(env, args[4], "data");
  if (data == NULL) return NULL;
  int result = mount(*source.text == '\0' ? "none" : source.text, target.text, or_null(type.text),
                     (unsigned long)flags, or_null(data));
  int failure = errno;
  free(data);
  return result < 0 ? throw_errno(env, failure, "mount", target.text) : NULL;
}

static napi_value do_umount(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct path target;
  int64_t flags;
  if (!get_args(env, info, 2, args) || !get_path(env, args[0], "target", &target) ||
      !get_int(env, args[1], "flags", &flags))
    return NULL;
  if (umount2(target.text, (int)flags) < 0) return throw_errno(env, errno, "umount2", target.text);
  return NULL;
}

/* What the kernel wrote to the context's log, newest messages included, as one line. */
static void read_fs_log(int context, char *log, size_t capacity) {
  size_t used = 0;
  char message[1024];
  log[0] = '\0';
  while (true) {
    ssize_t size = read(context, message, sizeof message - 1);
    if (size <= 0) return;
    message[size] = '\0';
    /* Each message is "e text", "w text" or "i text". */
    const char *text = size > 2 && message[1] == ' ' ? message + 2 : message;
    size_t length = strcspn(text, "\n");
    int written = snprintf(log + used, capacity - used, "%s%.*s", used > 0 ? "; " : "", (int)length, text);
    if (written < 0 || (size_t)written >= capacity - used) return;
    used += (size_t)written;
  }
}

/* A value too long for fsconfig is named by a descriptor instead; `held` is what to close afterwards. */
static bool set_fs_option(int context, const char *key, const char *value, int *held) {
  char by_descriptor[32];
  *held = -1;
  if (value == NULL) return syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key, NULL, 0) == 0;
  if (strlen(value) >= FSCONFIG_VALUE_MAX && value[0] == '/') {
    *held = open(value, O_PATH | O_CLOEXEC);
    if (*held < 0) return false;
    snprintf(by_descriptor, sizeof by_descriptor, "/proc/self/fd/%d", *held);
    value = by_descriptor;
  }
  return syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0) == 0;
}

struct fs_option {
  char *key;
  char *value;
  int held;
};

static void free_fs_options(struct fs_option *options, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    free(options[i].key);
    free(options[i].value);
    if (options[i].held >= 0) close(options[i].held);
  }
  free(options);
}

static struct fs_option *get_fs_options(napi_env env, napi_value list, uint32_t *count) {
  bool is_array = false;
  napi_is_array(env, list, &is_array);
  if (!is_array || napi_get_array_length(env, list, count) != napi_ok) {
    throw_argument(env, "options", "an array of [key, value]");
    return NULL;
  }
  struct fs_option *options = calloc(*count + 1, sizeof *options);
  if (options == NULL) {
    throw_errno(env, ENOMEM, "calloc", NULL);
    return NULL;
  }
  for (uint32_t i = 0; i < *count; i++) options[i].held = -1;
  for (uint32_t i = 0; i < *count; i++) {
    napi_value pair, key, value;
    napi_valuetype type = napi_undefined;
    bool is_pair = false;
    napi_get_element(env, list, i, &pair);
    napi_is_array(env, pair, &is_pair);
    if (!is_pair) {
      throw_argument(env, "options", "an array of [key, value]");
      free_fs_options(options, *count);
      return NULL;
    }
    napi_get_element(env, pair, 0, &key);
    napi_get_element(env, pair, 1, &value);
    napi_typeof(env, value, &type);
    options[i].key = get_string(env, key, "key");
    if (options[i].key != NULL && type != napi_null) options[i].value = get_string(env, value, "value");
    if (options[i].key == NULL || (type != napi_null && options[i].value == NULL)) {
      free_fs_options(options, *count);
      return NULL;
    }
  }
  return options;
}

/* The five steps of a new-style mount; answers the name of the step that failed, or NULL. */
static const char *mount_context(int context, struct fs_option *options, uint32_t count, const char *target,
                                 unsigned int attributes) {
  for (uint32_t i = 0; i < count; i++)
    if (!set_fs_option(context, options[i].key, options[i].value, &options[i].held)) return "fsconfig";
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return "fsconfig";
  int tree = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
  if (tree < 0) return "fsmount";
  long moved = syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  int failure = errno;
  close(tree);
  errno = failure;
  return moved < 0 ? "move_mount" : NULL;
}

static napi_value do_fs_mount(napi_env env, napi_callback_info info) {
  napi_value args[4];
  struct path type, target;
  int64_t attributes;
  uint32_t count;
  if (!get_args(env, info, 4, args) || !get_path(env, args[0], "fsType", &type) ||
      !get_path(env, args[2], "target", &target) || !get_int(env, args[3], "attrFlags", &attributes))
    return NULL;
  struct fs_option *options = get_fs_options(env, args[1], &count);
  if (options == NULL) return NULL;
  int context = (int)syscall(SYS_fsopen, type.text, FSOPEN_CLOEXEC);
  if (context < 0) {
    int failure = errno;
    free_fs_options(options, count);
    return throw_errno(env, failure, "fsopen", type.text);
  }
  const char *failed = mount_context(context, options, count, target.text, (unsigned int)attributes);
  int failure = errno;
  if (failed != NULL) {
    char log[1024];
    read_fs_log(context, log, sizeof log);
    napi_throw(env, make_error(env, failure, failed, target.text, log));
  }
  close(context);
  free_fs_options(options, count);
  return NULL;
}

static bool write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t written = write(fd, text, strlen(text));
  int failure = errno;
  close(fd);
  errno = failure;
  return written == (ssize_t)strlen(text);
}

/* A user namespace with these maps, which only mounts need: the process that makes it ends before this returns. */
static int open_user_namespace(const char *uid_map, const char *gid_map) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsigned char failure = unshare(CLONE_NEWUSER) < 0 ? (unsigned char)errno : 0;
    if (write(ready[1], &failure, 1) < 0) _exit(1);
    for (;;) pause();
  }
  int failure = child < 0 ? errno : 0, fd = -1;
  close(ready[1]);
  unsigned char said = 0;
  ssize_t count = 0;
  if (child > 0) RETRY(count, read(ready[0], &said, 1));
  close(ready[0]);
  if (child > 0 && (count != 1 || said != 0)) failure = count != 1 ? EIO : said;
  if (failure == 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", (int)child);
    bool mapped = write_file(path, uid_map);
    snprintf(path, sizeof path, "/proc/%d/gid_map", (int)child);
    mapped = mapped && write_file(path, gid_map);
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)child);
    if (mapped) fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) failure = errno;
  }
  if (child > 0) {
    int status;
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  }
  errno = failure;
  return fd;
}

static napi_value do_open_user_namespace(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  if (!get_args(env, info, 2, args)) return NULL;
  char *uid_map = get_string(env, args[0], "uidMap");
  if (uid_map == NULL) return NULL;
  char *gid_map = get_string(env, args[1], "gidMap");
  if (gid_map == NULL) {
    free(uid_map);
    return NULL;
  }
  int user_namespace = open_user_namespace(uid_map, gid_map);
  int failure = errno;
  free(uid_map);
  free(gid_map);
  if (user_namespace < 0) return throw_errno(env, failure, "unshare", "user namespace");
  napi_create_int32(env, user_namespace, &result);
  return result;
}

/* A copy of the mounts at a path, at another; answers the name of the step that failed, or NULL. It is apart from them before it is in place: an
   unmount below one of two mounts that share is an unmount below the other. */
enum { CLONE_RECURSIVE = 1, CLONE_SLAVE = 2, CLONE_READ_ONLY = 4 };

static const char *clone_mount(const char *source, const char *target, int user_namespace, int64_t flags) {
  unsigned int recursive = flags & CLONE_RECURSIVE ? AT_RECURSIVE : 0;
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
  if (tree < 0) return "open_tree";
  struct mount_attr attributes = {.propagation = flags & CLONE_SLAVE ? MS_SLAVE : MS_PRIVATE};
  if (flags & CLONE_READ_ONLY) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (user_namespace >= 0) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = (uint64_t)user_namespace;
  }
  unsigned int follow = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS;
  const char *failed = NULL;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes) < 0)
    failed = "mount_setattr";
  else if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, follow) < 0)
    failed = "move_mount";
  int failure = errno;
  close(tree);
  errno = failure;
  return failed;
}

static napi_value do_clone_mount(napi_env env, napi_callback_info info) {
  napi_value args[4];
  struct path source, target;
  int64_t user_namespace, flags;
  if (!get_args(env, info, 4, args) || !get_path(env, args[0], "source", &source) ||
      !get_path(env, args[1], "target", &target) || !get_int(env, args[2], "userNamespace", &user_namespace) ||
      !get_int(env, args[3], "flags", &flags))
    return NULL;
  const char *failed = clone_mount(source.text, target.text, (int)user_namespace, flags);
  return failed != NULL ? throw_errno(env, errno, failed, source.text) : NULL;
}

static napi_value do_statfs(napi_env env, napi_callback_info info) {
  napi_value args[1];
  struct path path;
  struct statfs stat;
  int result;
  if (!get_args(env, info, 1, args) || !get_path(env, args[0], "path", &path)) return NULL;
  RETRY(result, statfs(path.text, &stat));
  if (result < 0) return throw_errno(env, errno, "statfs", path.text);
  napi_value object = make_object(env);
  set_number(env, object, "type", (double)((uint64_t)stat.f_type & 0xffffffffu));
  set_number(env, object, "flags", (double)stat.f_flags);
  set_number(env, object, "blockSize", (double)stat.f_bsize);
  set_number(env, object, "blocks", (double)stat.f_blocks);
  set_number(env, object, "free", (double)stat.f_bfree);
  set_number(env, object, "available", (double)stat.f_bavail);
  set_number(env, object, "files", (double)stat.f_files);
  set_number(env, object, "filesFree", (double)stat.f_ffree);
  return object;
}

/* files ------------------------------------------------------------------------------------------------------------- */

static napi_value do_mknod(napi_env env, napi_callback_info info) {
  napi_value args[4];
  struct path path;
  int64_t mode, device_major, device_minor;
  if (!get_args(env, info, 4, args) || !get_path(env, args[0], "path", &path) ||
      !get_int(env, args[1], "mode", &mode) || !get_int(env, args[2], "major", &device_major) ||
      !get_int(env, args[3], "minor", &device_minor))
    return NULL;
  dev_t device = makedev((unsigned int)device_major, (unsigned int)device_minor);
  if (mknod(path.text, (mode_t)mode, device) < 0) return throw_errno(env, errno, "mknod", path.text);
  return NULL;
}

/* Setting twenty properties takes ten times as long as the call: the numbers go into an array that JavaScript reads. */
static napi_value do_lstat_into(napi_env env, napi_callback_info info) {
  enum { WORDS = 17, INODE = 4 };
  napi_value args[3];
  struct path path;
  struct bytes out;
  struct stat stat;
  bool may_be_absent = false;
  if (!get_args(env, info, 3, args) || !get_path(env, args[0], "path", &path) ||
      !get_bytes(env, args[1], "words", &out))
    return NULL;
  napi_get_value_bool(env, args[2], &may_be_absent);
  if (out.size != WORDS * sizeof(double)) return throw_argument(env, "words", "136 bytes");
  if (lstat(path.text, &stat) < 0) {
    if (may_be_absent && (errno == ENOENT || errno == ENOTDIR)) return make_boolean(env, false);
    return throw_errno(env, errno, "lstat", path.text);
  }
  const double words[WORDS] = {
      stat.st_mode,          stat.st_uid,           stat.st_gid,           (double)stat.st_size,
      0,                     (double)stat.st_nlink, major(stat.st_dev),    minor(stat.st_dev),
      major(stat.st_rdev),   minor(stat.st_rdev),   (double)stat.st_blocks,
      stat.st_atim.tv_sec,   stat.st_atim.tv_nsec,  stat.st_mtim.tv_sec,   stat.st_mtim.tv_nsec,
      stat.st_ctim.tv_sec,   stat.st_ctim.tv_nsec,
  };
  const uint64_t inode = stat.st_ino;
  memcpy(out.data, words, sizeof words);
  memcpy((char *)out.data + INODE * sizeof(double), &inode, sizeof inode);
  return make_boolean(env, true);
}

struct text {
  char *data;
  size_t size, room;
};

/* Always leaves room for a name and the numbers behind it. */
static bool text_reserve(struct text *text, size_t more) {
  if (text->room - text->size >= more) return true;
  size_t room = text->room * 2 + more + 4096;
  char *data = realloc(text->data, room);
  if (data == NULL) return false;
  text->data = data;
  text->room = room;
  return true;
}

static void text_capability(struct text *text, int folder, const char *name) {
  char path[64 + NAME_MAX], value[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
  ssize_t size = lgetxattr(path, "security.capability", value, sizeof value);
  for (ssize_t i = 0; i < size; i++)
    text->size += (size_t)sprintf(text->data + text->size, "%02x", (unsigned char)value[i]);
}

static long long nanoseconds(struct timespec time) { return time.tv_sec * 1000000000LL + time.tv_nsec; }

/* One file after the other, eight fields each, every field ended by a NUL. */
static bool text_entry(struct text *text, int folder, const char *name, const struct stat *stat) {
  if (!text_reserve(text, strlen(name) + 512)) return false;
  text->size += (size_t)sprintf(text->data + text->size, "%s%c%u%c%lu%c%lld%c%lld%c%u:%u%c%llu %llu %lld %lld%c", name, 0,
                                stat->st_mode, 0, (unsigned long)stat->st_nlink, 0, (long long)stat->st_size, 0,
                                (long long)stat->st_mtim.tv_sec, 0, major(stat->st_rdev), minor(stat->st_rdev), 0,
                                (unsigned long long)stat->st_dev, (unsigned long long)stat->st_ino,
                                nanoseconds(stat->st_mtim), nanoseconds(stat->st_ctim), 0);
  if (S_ISREG(stat->st_mode) && (stat->st_mode & 0111)) text_capability(text, folder, name);
  text->data[text->size++] = 0;
  return true;
}

/* 0, or the number of what went wrong. What goes away meanwhile is left out. */
static int scan(DIR *folder, struct text *text) {
  struct dirent *entry;
  struct stat stat;
  while (errno = 0, (entry = readdir(folder)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(dirfd(folder), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) continue;
      return errno;
    }
    if (!text_entry(text, dirfd(folder), entry->d_name, &stat)) return ENOMEM;
  }
  return errno;
}

static napi_value do_scan_folder(napi_env env, napi_callback_info info) {
  napi_value args[1], result = NULL;
  struct path path;
  struct text text = {NULL, 0, 0};
  if (!get_args(env, info, 1, args) || !get_path(env, args[0], "path", &path)) return NULL;
  DIR *folder = opendir(path.text);
  if (folder == NULL) return throw_errno(env, errno, "opendir", path.text);
  int failure = scan(folder, &text);
  closedir(folder);
  if (failure != 0) throw_errno(env, failure, "scan", path.text);
  else napi_create_string_latin1(env, text.data ? text.data : "", text.size, &result);
  free(text.data);
  return result;
}

static napi_value do_lutimes(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct path path;
  struct timespec times[2];
  if (!get_args(env, info, 3, args) || !get_path(env, args[0], "path", &path) ||
      !get_time(env, args[1], "atime", &times[0]) || !get_time(env, args[2], "mtime", &times[1]))
    return NULL;
  if (utimensat(AT_FDCWD, path.text, times, AT_SYMLINK_NOFOLLOW) < 0)
    return throw_errno(env, errno, "utimensat", path.text);
  return NULL;
}

/* The name of an attribute: bytes, as a string with a character for each. */
static bool get_xattr_name(napi_env env, napi_value value, char name[XATTR_NAME_MAX + 1]) {
  size_t size;
  if (napi_get_value_string_latin1(env, value, NULL, 0, &size) != napi_ok) {
    throw_argument(env, "name", "a string");
    return false;
  }
  if (size > XATTR_NAME_MAX) {
    throw_errno(env, ERANGE, "name", NULL);
    return false;
  }
  napi_get_value_string_latin1(env, value, name, XATTR_NAME_MAX + 1, &size);
  if (memchr(name, '\0', size) != NULL) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "a path or name must not contain NUL bytes");
    return false;
  }
  return true;
}

static napi_value do_lsetxattr(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct path path;
  char name[XATTR_NAME_MAX + 1];
  struct bytes value;
  if (!get_args(env, info, 3, args) || !get_path(env, args[0], "path", &path) ||
      !get_xattr_name(env, args[1], name) || !get_bytes(env, args[2], "value", &value))
    return NULL;
  if (lsetxattr(path.text, name, value.data, value.size, 0) < 0)
    return throw_errno(env, errno, "lsetxattr", path.text);
  return NULL;
}

static napi_value do_lgetxattr(napi_env env, napi_callback_info info) {
  napi_value args[2], buffer;
  struct path path;
  char name[XATTR_NAME_MAX + 1];
  static _Thread_local uint8_t value[MAX_XATTR_VALUE];
  if (!get_args(env, info, 2, args) || !get_path(env, args[0], "path", &path) ||
      !get_xattr_name(env, args[1], name))
    return NULL;
  ssize_t size = lgetxattr(path.text, name, value, sizeof value);
  if (size < 0) return errno == ENODATA ? NULL : throw_errno(env, errno, "lgetxattr", path.text);
  napi_create_buffer_copy(env, (size_t)size, value, NULL, &buffer);
  return buffer;
}

static napi_value do_llistxattr(napi_env env, napi_callback_info info) {
  napi_value args[1], list;
  struct path path;
  static _Thread_local char names[MAX_XATTR_VALUE];
  if (!get_args(env, info, 1, args) || !get_path(env, args[0], "path", &path)) return NULL;
  ssize_t size = llistxattr(path.text, names, sizeof names);
  if (size < 0) return throw_errno(env, errno, "llistxattr", path.text);
  napi_create_array(env, &list);
  uint32_t index = 0;
  for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
    napi_value name;
    napi_create_string_latin1(env, names + at, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, list, index++, name);
  }
  return list;
}

static napi_value do_lremovexattr(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct path path;
  char name[XATTR_NAME_MAX + 1];
  if (!get_args(env, info, 2, args) || !get_path(env, args[0], "path", &path) ||
      !get_xattr_name(env, args[1], name))
    return NULL;
  if (lremovexattr(path.text, name) < 0) return throw_errno(env, errno, "lremovexattr", path.text);
  return NULL;
}

static napi_value do_rename2(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct path from, to;
  int64_t flags;
  if (!get_args(env, info, 3, args) || !get_path(env, args[0], "from", &from) || !get_path(env, args[1], "to", &to) ||
      !get_int(env, args[2], "flags", &flags))
    return NULL;
  if (syscall(SYS_renameat2, AT_FDCWD, from.text, AT_FDCWD, to.text, (unsigned int)flags) < 0)
    return throw_errno(env, errno, "renameat2", from.text);
  return NULL;
}

static napi_value do_open_in_root(napi_env env, napi_callback_info info) {
  napi_value args[5];
  int root;
  struct path path;
  int64_t flags, mode, resolve;
  long fd;
  if (!get_args(env, info, 5, args) || !get_fd(env, args[0], &root) || !get_path(env, args[1], "path", &path) ||
      !get_int(env, args[2], "flags", &flags) || !get_int(env, args[3], "mode", &mode) ||
      !get_int(env, args[4], "resolve", &resolve))
    return NULL;
  struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | (uint64_t)resolve};
  if ((resolve & RESOLVE_BENEATH) != 0) how.resolve &= ~(uint64_t)RESOLVE_IN_ROOT;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) how.mode = (uint64_t)mode;
  /* EAGAIN: a rename or mount raced with a `..` step; the kernel asks for another try. */
  int tries = 0;
  do {
    fd = syscall(SYS_openat2, root, path.text, &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 128)));
  return fd < 0 ? throw_errno(env, errno, "openat2", path.text) : make_number(env, (double)fd);
}

/* Not there any more, or no plain way to it. */
static bool has_vanished(int number) {
  return number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENXIO;
}

static napi_value do_read_file_in_root(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int root, fd;
  struct path path;
  struct bytes out;
  struct stat found;
  if (!get_args(env, info, 3, args) || !get_fd(env, args[0], &root) || !get_path(env, args[1], "path", &path) ||
      !get_bytes(env, args[2], "into", &out))
    return NULL;
  struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                         .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
  int tries = 0;
  do {
    fd = (int)syscall(SYS_openat2, root, path.text, &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 128)));
  if (fd < 0) return has_vanished(errno) ? make_number(env, 0) : throw_errno(env, errno, "openat2", path.text);
  size_t at = 0;
  int failed = 0;
  if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) {
    while (at < out.size) {
      ssize_t size;
      RETRY(size, read(fd, out.data + at, out.size - at));
      if (size < 0) failed = errno;
      if (size <= 0) break;
      at += (size_t)size;
    }
  }
  close(fd);
  return failed != 0 ? throw_errno(env, failed, "read", path.text) : make_number(env, (double)at);
}

/* The name of something in a folder, one byte per UTF-16 unit: no slash, no NUL. */
static bool get_name(napi_env env, napi_value value, char (*out)[NAME_MAX + 1]) {
  size_t size;
  if (napi_get_value_string_latin1(env, value, NULL, 0, &size) != napi_ok) {
    throw_argument(env, "name", "a byte string");
    return false;
  }
  if (size > NAME_MAX) {
    throw_errno(env, ENAMETOOLONG, "openat", NULL);
    return false;
  }
  napi_get_value_string_latin1(env, value, *out, sizeof *out, &size);
  if (memchr(*out, '\0', size) == NULL && memchr(*out, '/', size) == NULL) return true;
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "a name must not contain slashes or NUL bytes");
  return false;
}

/* The step that failed, or NULL; errno says why. */
static const char *fill_file(int fd, struct bytes data, uid_t uid, gid_t gid, mode_t mode, struct timespec mtime) {
  const struct timespec times[2] = {mtime, mtime};
  for (size_t at = 0; at < data.size;) {
    ssize_t size;
    RETRY(size, write(fd, data.data + at, data.size - at));
    if (size < 0) return "write";
    at += (size_t)size;
  }
  if (fchown(fd, uid, gid) < 0) return "fchown";
  if (fchmod(fd, mode) < 0) return "fchmod";
  if (futimens(fd, times) < 0) return "futimens";
  return NULL;
}

static napi_value do_write_new_file(napi_env env, napi_callback_info info) {
  napi_value args[7];
  int folder, fd;
  char name[NAME_MAX + 1];
  struct bytes data;
  int64_t uid, gid, mode;
  struct timespec mtime;
  if (!get_args(env, info, 7, args) || !get_fd(env, args[0], &folder) || !get_name(env, args[1], &name) ||
      !get_bytes(env, args[2], "data", &data) || !get_int(env, args[3], "uid", &uid) ||
      !get_int(env, args[4], "gid", &gid) || !get_int(env, args[5], "mode", &mode) ||
      !get_time(env, args[6], "mtime", &mtime))
    return NULL;
  RETRY(fd, openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd < 0) return throw_errno(env, errno, "openat", name);
  const char *failed = fill_file(fd, data, (uid_t)uid, (gid_t)gid, (mode_t)mode & 07777, mtime);
  int failure = errno;
  close(fd);
  return failed == NULL ? NULL : throw_errno(env, failure, failed, name);
}

static napi_value do_copy_range(napi_env env, napi_callback_info info) {
  napi_value args[5];
  int in, out;
  int64_t offset_in, offset_out, length;
  if (!get_args(env, info, 5, args) || !get_fd(env, args[0], &in) || !get_int(env, args[1], "offsetIn", &offset_in) ||
      !get_fd(env, args[2], &out) || !get_int(env, args[3], "offsetOut", &offset_out) ||
      !get_int(env, args[4], "length", &length))
    return NULL;
  int64_t copied = 0;
  while (copied < length) {
    loff_t at_in = offset_in + copied, at_out = offset_out + copied;
    ssize_t size;
    RETRY(size, copy_file_range(in, &at_in, out, &at_out, (size_t)(length - copied), 0));
    if (size < 0) return throw_errno(env, errno, "copy_file_range", NULL);
    if (size == 0) break;
    copied += size;
  }
  return make_number(env, (double)copied);
}

static napi_value do_spread_subfolders(napi_env env, napi_callback_info info) {
  napi_value args[1];
  struct path path;
  int fd, flags = 0;
  if (!get_args(env, info, 1, args) || !get_path(env, args[0], "path", &path)) return NULL;
  RETRY(fd, open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd < 0) return throw_errno(env, errno, "open", path.text);
  int result = ioctl(fd, FS_IOC_GETFLAGS, &flags);
  if (result == 0 && !(flags & FS_TOPDIR_FL)) {
    flags |= FS_TOPDIR_FL;
    result = ioctl(fd, FS_IOC_SETFLAGS, &flags);
  }
  int failure = errno;
  close(fd);
  return result < 0 ? throw_errno(env, failure, "ioctl", path.text) : NULL;
}

static napi_value do_fallocate_punch(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd, result;
  int64_t offset, length;
  if (!get_args(env, info, 3, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "offset", &offset) ||
      !get_int(env, args[2], "length", &length))
    return NULL;
  RETRY(result, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
  return result < 0 ? throw_errno(env, errno, "fallocate", NULL) : NULL;
}

static napi_value do_fallocate_beyond(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd, result;
  int64_t length;
  if (!get_args(env, info, 2, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "length", &length))
    return NULL;
  RETRY(result, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, length));
  return result < 0 ? throw_errno(env, errno, "fallocate", NULL) : NULL;
}

/* Answers the bytes shared; less than asked for where the contents part. The kernel compares them under its own locks. */
static napi_value do_dedupe_range(napi_env env, napi_callback_info info) {
  napi_value args[5];
  int source, target, result;
  int64_t source_offset, target_offset, length;
  if (!get_args(env, info, 5, args) || !get_fd(env, args[0], &source) ||
      !get_int(env, args[1], "sourceOffset", &source_offset) || !get_fd(env, args[2], &target) ||
      !get_int(env, args[3], "targetOffset", &target_offset) || !get_int(env, args[4], "length", &length))
    return NULL;
  union {
    struct file_dedupe_range range;
    char room[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)];
  } request = {.room = {0}};
  int64_t done = 0;
  while (done < length) {
    request.range.src_offset = (uint64_t)(source_offset + done);
    request.range.src_length = (uint64_t)(length - done);
    request.range.dest_count = 1;
    struct file_dedupe_range_info *there = &request.range.info[0];
    memset(there, 0, sizeof *there);
    there->dest_fd = target;
    there->dest_offset = (uint64_t)(target_offset + done);
    RETRY(result, ioctl(source, FIDEDUPERANGE, &request.range));
    if (result < 0) return throw_errno(env, errno, "ioctl", NULL);
    if (there->status < 0) return throw_errno(env, -there->status, "ioctl", NULL);
    if (there->status == FILE_DEDUPE_RANGE_DIFFERS || there->bytes_deduped == 0) break;
    done += (int64_t)there->bytes_deduped;
  }
  return make_number(env, (double)done);
}

static napi_value do_trim_memory(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  malloc_trim(0);
  return NULL;
}

static napi_value do_syncfs(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!get_args(env, info, 1, args) || !get_fd(env, args[0], &fd)) return NULL;
  return syncfs(fd) < 0 ? throw_errno(env, errno, "syncfs", NULL) : NULL;
}

static napi_value do_start_writeback(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd, result;
  int64_t offset, length;
  if (!get_args(env, info, 3, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "offset", &offset) ||
      !get_int(env, args[2], "length", &length))
    return NULL;
  RETRY(result, sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE));
  return result < 0 ? throw_errno(env, errno, "sync_file_range", NULL) : NULL;
}

/* locks and processes ----------------------------------------------------------------------------------------------- */

static napi_value do_try_lock(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (!get_args(env, info, 1, args) || !get_fd(env, args[0], &fd)) return NULL;
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return make_boolean(env, true);
  if (errno == EAGAIN || errno == EACCES) return make_boolean(env, false);
  return throw_errno(env, errno, "fcntl", NULL);
}

static napi_value do_pidfd_open(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int64_t pid;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], "pid", &pid)) return NULL;
  long fd = syscall(SYS_pidfd_open, (pid_t)pid, 0); /* close-on-exec by nature */
  return fd < 0 ? throw_errno(env, errno, "pidfd_open", NULL) : make_number(env, (double)fd);
}

static napi_value do_pidfd_getfd(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int pidfd, target;
  if (!get_args(env, info, 2, args) || !get_fd(env, args[0], &pidfd) || !get_fd(env, args[1], &target)) return NULL;
  long fd = syscall(SYS_pidfd_getfd, pidfd, target, 0); /* close-on-exec by nature */
  return fd < 0 ? throw_errno(env, errno, "pidfd_getfd", NULL) : make_number(env, (double)fd);
}

static napi_value do_pidfd_signal(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd;
  int64_t signal_number;
  if (!get_args(env, info, 2, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "signal", &signal_number))
    return NULL;
  if (syscall(SYS_pidfd_send_signal, fd, (int)signal_number, NULL, 0) < 0)
    return throw_errno(env, errno, "pidfd_send_signal", NULL);
  return NULL;
}

static napi_value do_set_subreaper(napi_env env, napi_callback_info info) {
  napi_value args[1];
  bool on;
  if (!get_args(env, info, 1, args)) return NULL;
  if (napi_get_value_bool(env, args[0], &on) != napi_ok) return throw_argument(env, "on", "a boolean");
  return prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) < 0 ? throw_errno(env, errno, "prctl", NULL) : NULL;
}

static napi_value do_reap(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int64_t pid;
  int status;
  pid_t ended;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], "pid", &pid)) return NULL;
  if (pid <= 0) return throw_errno(env, EINVAL, "waitpid", NULL);
  RETRY(ended, waitpid((pid_t)pid, &status, WNOHANG));
  if (ended == 0 || (ended < 0 && errno == ECHILD)) return NULL;
  if (ended < 0) return throw_errno(env, errno, "waitpid", NULL);
  napi_value object = make_object(env);
  set_number(env, object, "code", WIFEXITED(status) ? WEXITSTATUS(status) : 0);
  set_number(env, object, "signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return object;
}

static void free_strings(char **strings) {
  for (char **string = strings; string != NULL && *string != NULL; string++) free(*string);
  free(strings);
}

/* An array of strings as a NULL-terminated vector; the caller frees it. */
static char **get_strings(napi_env env, napi_value value, const char *name) {
  uint32_t count;
  if (napi_get_array_length(env, value, &count) != napi_ok) {
    throw_argument(env, name, "an array of strings");
    return NULL;
  }
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (strings == NULL) {
    throw_errno(env, ENOMEM, "malloc", NULL);
    return NULL;
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    if (napi_get_element(env, value, i, &item) != napi_ok || (strings[i] = get_string(env, item, name)) == NULL) {
      free_strings(strings);
      return NULL;
    }
  }
  return strings;
}

#define SPAWN_FDS 16

/* Copies of the caller's descriptors above all that the child is given, so that no dup2 closes one still to come. */
struct spawn_fds {
  uint32_t count;
  int fds[SPAWN_FDS];
};

static void close_spawn_fds(struct spawn_fds *held) {
  for (uint32_t i = 0; i < held->count; i++)
    if (held->fds[i] >= 0) close(held->fds[i]);
}

static bool get_spawn_fds(napi_env env, napi_value value, struct spawn_fds *out) {
  uint32_t count;
  out->count = 0;
  if (napi_get_array_length(env, value, &count) != napi_ok || count > SPAWN_FDS) {
    throw_argument(env, "fds", "an array of at most 16 descriptors");
    return false;
  }
  for (; out->count < count; out->count++) {
    napi_value item;
    int64_t fd;
    if (napi_get_element(env, value, out->count, &item) != napi_ok || !get_int(env, item, "fds", &fd)) return false;
    out->fds[out->count] = fd < 0 ? -1 : fcntl((int)fd, F_DUPFD_CLOEXEC, SPAWN_FDS);
    if (fd >= 0 && out->fds[out->count] < 0) {
      throw_errno(env, errno, "fcntl", NULL);
      return false;
    }
  }
  return true;
}

/* No step of preparation can fail but for want of memory, which the calls report as their result. */
static int spawn_session(const char *path, char **argv, char **envp, const struct spawn_fds *fds, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  int result;
  sigemptyset(&none);
  sigfillset(&all);
  if ((result = posix_spawnattr_init(&attributes)) != 0) return result;
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  if ((result = posix_spawn_file_actions_init(&actions)) == 0) {
    result = posix_spawn_file_actions_addchdir_np(&actions, "/");
    for (uint32_t i = 0; result == 0 && i < fds->count; i++)
      result = fds->fds[i] < 0 ? posix_spawn_file_actions_addopen(&actions, (int)i, "/dev/null", O_RDWR, 0)
                               : posix_spawn_file_actions_adddup2(&actions, fds->fds[i], (int)i);
    if (result == 0) result = posix_spawn(pid, path, &actions, &attributes, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
  }
  posix_spawnattr_destroy(&attributes);
  return result;
}

static napi_value do_spawn_session(napi_env env, napi_callback_info info) {
  napi_value args[4], answer = NULL;
  struct path path;
  struct spawn_fds fds = {0};
  pid_t pid = 0;
  if (!get_args(env, info, 4, args) || !get_path(env, args[0], "path", &path)) return NULL;
  char **argv = get_strings(env, args[1], "args");
  char **envp = argv == NULL ? NULL : get_strings(env, args[2], "env");
  if (envp != NULL && get_spawn_fds(env, args[3], &fds)) {
    int result = spawn_session(path.text, argv, envp, &fds, &pid);
    answer = result != 0 ? throw_errno(env, result, "posix_spawn", path.text) : make_number(env, pid);
  }
  close_spawn_fds(&fds);
  free_strings(argv);
  free_strings(envp);
  return answer;
}

static napi_value do_umask(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int64_t mask;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], "mask", &mask)) return NULL;
  return make_number(env, umask((mode_t)mask & 0777));
}

static double limit_value(rlim_t limit) { return limit == RLIM_INFINITY ? INFINITY : (double)limit; }

static napi_value do_getrlimit(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int64_t resource;
  struct rlimit limit;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], "resource", &resource)) return NULL;
  if (getrlimit((int)resource, &limit) < 0) return throw_errno(env, errno, "getrlimit", NULL);
  napi_value object = make_object(env);
  set_number(env, object, "soft", limit_value(limit.rlim_cur));
  set_number(env, object, "hard", limit_value(limit.rlim_max));
  return object;
}

static napi_value do_close(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!get_args(env, info, 1, args) || !get_fd(env, args[0], &fd)) return NULL;
  /* Linux has closed the descriptor even when it answers EINTR. */
  return close(fd) < 0 && errno != EINTR ? throw_errno(env, errno, "close", NULL) : NULL;
}

/* sockets and pipes ------------------------------------------------------------------------------------------------- */

/* Fills the address; a path too long for it is reached through a descriptor of its folder, which the caller closes. */
static bool unix_address(const char *path, struct sockaddr_un *address, int *folder) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  *folder = -1;
  if (strlen(path) < sizeof address->sun_path) {
    strcpy(address->sun_path, path);
    return true;
  }
  const char *slash = strrchr(path, '/');
  if (slash == NULL) {
    errno = ENAMETOOLONG;
    return false;
  }
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%.*s", (int)(slash - path) + 1, path);
  *folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*folder < 0) return false;
  int size = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", *folder, slash + 1);
  if (size >= 0 && (size_t)size < sizeof address->sun_path) return true;
  errno = ENAMETOOLONG;
  return false;
}

/* Connects with a time limit, for a peer that does not accept, then makes the socket non-blocking. */
static bool connect_within(int fd, const struct sockaddr_un *address) {
  struct timeval limit = {.tv_sec = CONNECT_SECONDS}, unlimited = {0};
  int result;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  RETRY(result, connect(fd, (const struct sockaddr *)address, sizeof *address));
  if (result < 0) return false;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &unlimited, sizeof unlimited);
  return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static napi_value unix_connect(napi_env env, napi_callback_info info, int type) {
  napi_value args[1];
  struct path path;
  struct sockaddr_un address;
  int folder;
  if (!get_args(env, info, 1, args) || !get_path(env, args[0], "path", &path)) return NULL;
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(env, errno, "socket", NULL);
  bool connected = unix_address(path.text, &address, &folder) && connect_within(fd, &address);
  int failure = errno;
  if (folder >= 0) close(folder);
  if (connected) return make_number(env, fd);
  close(fd);
  return throw_errno(env, failure, "connect", path.text);
}

static napi_value do_seqpacket_connect(napi_env env, napi_callback_info info) {
  return unix_connect(env, info, SOCK_SEQPACKET);
}

static napi_value do_datagram_connect(napi_env env, napi_callback_info info) {
  return unix_connect(env, info, SOCK_DGRAM);
}

static napi_value do_write_some(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd;
  struct bytes data;
  ssize_t size;
  if (!get_args(env, info, 2, args) || !get_fd(env, args[0], &fd) || !get_bytes(env, args[1], "data", &data))
    return NULL;
  RETRY(size, write(fd, data.data, data.size));
  if (size < 0 && errno != EAGAIN) return throw_errno(env, errno, "write", NULL);
  return make_number(env, (double)size);
}

static napi_value do_send_file(napi_env env, napi_callback_info info) {
  napi_value args[4];
  int out, in;
  int64_t offset, length;
  if (!get_args(env, info, 4, args) || !get_fd(env, args[0], &out) || !get_fd(env, args[1], &in) ||
      !get_int(env, args[2], "offset", &offset) || !get_int(env, args[3], "length", &length))
    return NULL;
  off_t at = offset;
  ssize_t size;
  RETRY(size, sendfile(out, in, &at, (size_t)length));
  if (size < 0 && errno != EAGAIN) return throw_errno(env, errno, "sendfile", NULL);
  return make_number(env, (double)size);
}

static napi_value do_duplicate(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!get_args(env, info, 1, args) || !get_fd(env, args[0], &fd)) return NULL;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? throw_errno(env, errno, "fcntl", NULL) : make_number(env, copy);
}

static napi_value do_shutdown(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd;
  int64_t how;
  if (!get_args(env, info, 2, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "how", &how)) return NULL;
  return shutdown(fd, (int)how) < 0 ? throw_errno(env, errno, "shutdown", NULL) : NULL;
}

static napi_value do_set_window_size(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd;
  int64_t rows, columns;
  if (!get_args(env, info, 3, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "rows", &rows) ||
      !get_int(env, args[2], "columns", &columns))
    return NULL;
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  return ioctl(fd, TIOCSWINSZ, &size) < 0 ? throw_errno(env, errno, "ioctl", NULL) : NULL;
}

static napi_value make_pair(napi_env env, const int fds[2]) {
  napi_value pair;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, make_number(env, fds[0]));
  napi_set_element(env, pair, 1, make_number(env, fds[1]));
  return pair;
}

static napi_value do_pipe(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  return pipe2(fds, O_CLOEXEC) < 0 ? throw_errno(env, errno, "pipe2", NULL) : make_pair(env, fds);
}

/* netlink ----------------------------------------------------------------------------------------------------------- */

static napi_value do_netlink_open(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int64_t family;
  int on = 1, room = 1 << 20;
  struct timeval limit = {.tv_sec = NETLINK_REPLY_SECONDS};
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], "family", &family)) return NULL;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)family);
  if (fd < 0) return throw_errno(env, errno, "socket", NULL);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int failure = errno;
    close(fd);
    return throw_errno(env, failure, "bind", NULL);
  }
  return make_number(env, fd);
}

struct replies {
  uint8_t *data;
  size_t size, capacity;
  int64_t ends; /* acknowledgements, errors and dump ends seen */
  bool failed;  /* an error among them: the kernel may have dropped the rest of the batch */
};

static void count_ends(struct replies *replies, size_t from) {
  size_t at = from;
  while (at + sizeof(struct nlmsghdr) <= replies->size) {
    struct nlmsghdr header;
    memcpy(&header, replies->data + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > replies->size - at) return;
    if (header.nlmsg_type == NLMSG_DONE) replies->ends++;
    if (header.nlmsg_type == NLMSG_ERROR) {
      int code = 0;
      if (header.nlmsg_len >= sizeof header + sizeof code)
        memcpy(&code, replies->data + at + sizeof header, sizeof code);
      replies->ends++;
      replies->failed |= code != 0;
    }
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
}

/* Gathers datagrams until `expected` ends were seen; after an error, only what is already there. */
static bool receive_replies(int fd, int64_t expected, struct replies *replies) {
  while (replies->ends < expected) {
    ssize_t size;
    RETRY(size, recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | (replies->failed ? MSG_DONTWAIT : 0)));
    if (size < 0 && replies->failed && errno == EAGAIN) return true;
    if (size < 0) {
      if (errno == EAGAIN) errno = ETIMEDOUT;
      return false;
    }
    if (replies->size + (size_t)size > replies->capacity) {
      size_t capacity = (replies->size + (size_t)size) * 2;
      uint8_t *grown = realloc(replies->data, capacity);
      if (grown == NULL) return false;
      replies->data = grown;
      replies->capacity = capacity;
    }
    RETRY(size, recv(fd, replies->data + replies->size, replies->capacity - replies->size, 0));
    if (size < 0) return false;
    size_t from = replies->size;
    replies->size += (size_t)size;
    count_ends(replies, from);
    /* Datagrams are gathered end to end; each starts aligned as the kernel made it. */
    while (replies->size % NLMSG_ALIGNTO != 0 && replies->size < replies->capacity) replies->data[replies->size++] = 0;
  }
  return true;
}

/* Replies to an earlier, timed out batch must not be taken for this one's. */
static void discard_pending(int fd) {
  uint8_t scrap[16];
  while (recv(fd, scrap, sizeof scrap, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS) continue;
}

static napi_value do_netlink_transact(napi_env env, napi_callback_info info) {
  napi_value args[3], buffer = NULL;
  int fd;
  struct bytes messages;
  int64_t expected;
  ssize_t sent;
  if (!get_args(env, info, 3, args) || !get_fd(env, args[0], &fd) ||
      !get_bytes(env, args[1], "messages", &messages) || !get_int(env, args[2], "expectedAcks", &expected))
    return NULL;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  discard_pending(fd);
  RETRY(sent, sendto(fd, messages.data, messages.size, 0, (struct sockaddr *)&kernel, sizeof kernel));
  if (sent < 0) return throw_errno(env, errno, "sendto", NULL);
  struct replies replies = {0};
  if (receive_replies(fd, expected, &replies))
    napi_create_buffer_copy(env, replies.size, replies.data != NULL ? replies.data : (uint8_t *)"", NULL, &buffer);
  else
    throw_errno(env, errno, "recv", NULL);
  free(replies.data);
  return buffer;
}

/* watches on the event loop ----------------------------------------------------------------------------------------- */

/*
 * One uv_poll on a duplicate of the caller's descriptor. It has two owners, the JavaScript handle and the loop; memory goes
 * with the later of them. Events: `once` watches call `callback` and end; readers deliver records until end of file.
 */
struct watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref on_event, on_error;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  uint8_t *room;
  size_t room_size;
  int fd, owners, events;
  bool closing, paused;
};

static void watch_drop(struct watch *watch) {
  if (--watch->owners > 0) return;
  free(watch->room);
  free(watch);
}

static void watch_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  napi_handle_scope scope;
  close(watch->fd);
  napi_open_handle_scope(watch->env, &scope);
  napi_delete_reference(watch->env, watch->on_event);
  if (watch->on_error != NULL) napi_delete_reference(watch->env, watch->on_error);
  napi_async_destroy(watch->env, watch->context);
  napi_close_handle_scope(watch->env, scope);
  napi_remove_async_cleanup_hook(watch->hook);
  watch_drop(watch);
}

static void watch_stop(struct watch *watch) {
  if (watch->closing) return;
  watch->closing = true;
  uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

static void watch_environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  watch_stop(data);
}

static void watch_finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  watch_drop(data);
}

/* Calls into JavaScript from the loop; what it throws becomes an uncaught exception, as from any other callback. */
static void watch_call(struct watch *watch, napi_ref callback, napi_value argument) {
  napi_value function, receiver, error;
  napi_get_reference_value(watch->env, callback, &function);
  napi_get_global(watch->env, &receiver);
  size_t count = argument == NULL ? 0 : 1;
  napi_status status = napi_make_callback(watch->env, watch->context, receiver, function, count, &argument, NULL);
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(watch->env, &error) == napi_ok)
    napi_fatal_exception(watch->env, error);
}

static void on_ready_once(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  napi_handle_scope scope;
  (void)status;
  (void)events;
  watch_stop(watch);
  napi_open_handle_scope(watch->env, &scope);
  watch_call(watch, watch->on_event, NULL);
  napi_close_handle_scope(watch->env, scope);
}

/* Delivers one record. False when there is nothing more to read now, or ever. */
static bool deliver_record(struct watch *watch) {
  napi_handle_scope scope;
  napi_value record;
  ssize_t size;
  RETRY(size, read(watch->fd, watch->room, watch->room_size));
  if (size < 0 && errno == EAGAIN) return false;
  int failure = errno;
  napi_open_handle_scope(watch->env, &scope);
  if (size <= 0) watch_stop(watch);
  if (size < 0) {
    watch_call(watch, watch->on_error, make_error(watch->env, failure, "read", NULL, NULL));
  } else {
    napi_create_buffer_copy(watch->env, (size_t)size, watch->room, NULL, &record);
    watch_call(watch, watch->on_event, record);
  }
  napi_close_handle_scope(watch->env, scope);
  return size > 0;
}

static void on_records(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  napi_handle_scope handles;
  napi_callback_scope turn;
  napi_value resource;
  (void)status;
  (void)events;
  napi_open_handle_scope(watch->env, &handles);
  napi_create_object(watch->env, &resource);
  /* One turn for all of them: what JavaScript does about them as promises and ticks, it does once, behind the last. */
  bool has_turn = napi_open_callback_scope(watch->env, resource, watch->context, &turn) == napi_ok;
  /* A bound on how long one busy descriptor keeps the loop from the others. */
  for (int i = 0; i < 32 && !watch->closing && !watch->paused; i++)
    if (!deliver_record(watch)) break;
  if (has_turn) napi_close_callback_scope(watch->env, turn);
  napi_close_handle_scope(watch->env, handles);
}

static struct watch *watch_of(napi_env env, napi_callback_info info) {
  napi_value self;
  void *watch = NULL;
  if (napi_get_cb_info(env, info, NULL, NULL, &self, NULL) != napi_ok || napi_unwrap(env, self, &watch) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_THIS", "not a watch");
    return NULL;
  }
  return watch;
}

static napi_value do_watch_stop(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_of(env, info);
  if (watch != NULL) watch_stop(watch);
  return NULL;
}

static napi_value do_watch_unref(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_of(env, info);
  if (watch != NULL && !watch->closing) uv_unref((uv_handle_t *)&watch->poll);
  return NULL;
}

static napi_value do_watch_pause(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_of(env, info);
  if (watch == NULL || watch->closing || watch->paused) return NULL;
  watch->paused = true;
  uv_poll_stop(&watch->poll);
  return NULL;
}

static napi_value do_watch_resume(napi_env env, napi_callback_info info) {
  struct watch *watch = watch_of(env, info);
  if (watch == NULL || watch->closing || !watch->paused) return NULL;
  watch->paused = false;
  uv_poll_start(&watch->poll, watch->events, on_records);
  return NULL;
}

static void add_method(napi_env env, napi_value object, const char *name, napi_callback method) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, method, NULL, &function);
  napi_set_named_property(env, object, name, function);
}

static bool is_function(napi_env env, napi_value value, const char *name) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_function) return true;
  throw_argument(env, name, "a function");
  return false;
}

/* A watch with its handle in `object`, not yet polling. `original` must be pollable: not a regular file. */
static struct watch *watch_create(napi_env env, int original, napi_value on_event, napi_value object) {
  uv_loop_t *loop;
  napi_value name;
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) {
    throw_errno(env, ENOMEM, "calloc", NULL);
    return NULL;
  }
  watch->fd = fcntl(original, F_DUPFD_CLOEXEC, 0);
  napi_get_uv_event_loop(env, &loop);
  int failure = watch->fd < 0 ? -errno : uv_poll_init(loop, &watch->poll, watch->fd);
  if (failure < 0) {
    if (watch->fd >= 0) close(watch->fd);
    free(watch);
    throw_errno(env, -failure, "poll", NULL);
    return NULL;
  }
  watch->poll.data = watch;
  watch->env = env;
  watch->owners = 2;
  napi_create_reference(env, on_event, 1, &watch->on_event);
  napi_create_string_utf8(env, "WHERRYWATCH", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, object, name, &watch->context);
  napi_add_async_cleanup_hook(env, watch_environment_ends, watch, &watch->hook);
  napi_wrap(env, object, watch, watch_finalize, NULL, NULL);
  add_method(env, object, "stop", do_watch_stop);
  add_method(env, object, "unref", do_watch_unref);
  return watch;
}

static napi_value start_watch(napi_env env, struct watch *watch, napi_value object, uv_poll_cb callback) {
  int failure = uv_poll_start(&watch->poll, watch->events, callback);
  if (failure == 0) return object;
  watch_stop(watch);
  return throw_errno(env, -failure, "poll", NULL);
}

static napi_value do_read_records(napi_env env, napi_callback_info info) {
  napi_value args[4];
  int fd;
  int64_t max_bytes;
  if (!get_args(env, info, 4, args) || !get_fd(env, args[0], &fd) || !get_int(env, args[1], "maxBytes", &max_bytes) ||
      !is_function(env, args[2], "onRecord") || !is_function(env, args[3], "onError"))
    return NULL;
  if (max_bytes <= 0 || max_bytes > 1 << 24) return throw_errno(env, EINVAL, "readRecords", NULL);
  napi_value object = make_object(env);
  struct watch *watch = watch_create(env, fd, args[2], object);
  if (watch == NULL) return NULL;
  napi_create_reference(env, args[3], 1, &watch->on_error);
  watch->events = UV_READABLE;
  watch->room_size = (size_t)max_bytes;
  watch->room = malloc(watch->room_size);
  if (watch->room == NULL) {
    watch_stop(watch);
    return throw_errno(env, ENOMEM, "malloc", NULL);
  }
  /* The flag belongs to the open file, so the caller's descriptor becomes non-blocking as well. */
  fcntl(watch->fd, F_SETFL, fcntl(watch->fd, F_GETFL) | O_NONBLOCK);
  add_method(env, object, "pause", do_watch_pause);
  add_method(env, object, "resume", do_watch_resume);
  return start_watch(env, watch, object, on_records);
}

static napi_value when_ready(napi_env env, napi_callback_info info, int events) {
  napi_value args[2];
  int fd;
  if (!get_args(env, info, 2, args) || !get_fd(env, args[0], &fd) || !is_function(env, args[1], "callback"))
    return NULL;
  napi_value object = make_object(env);
  struct watch *watch = watch_create(env, fd, args[1], object);
  if (watch == NULL) return NULL;
  watch->events = events;
  return start_watch(env, watch, object, on_ready_once);
}

static napi_value do_when_readable(napi_env env, napi_callback_info info) {
  return when_ready(env, info, UV_READABLE);
}

static napi_value do_when_writable(napi_env env, napi_callback_info info) {
  return when_ready(env, info, UV_WRITABLE);
}

/* ------------------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  napi_callback call;
} exported[] = {
    {"mount", do_mount},
    {"umount", do_umount},
    {"fsMount", do_fs_mount},
    {"openUserNamespace", do_open_user_namespace},
    {"cloneMount", do_clone_mount},
    {"statfs", do_statfs},
    {"mknod", do_mknod},
    {"lstatInto", do_lstat_into},
    {"scanFolder", do_scan_folder},
    {"lutimes", do_lutimes},
    {"lsetxattr", do_lsetxattr},
    {"lgetxattr", do_lgetxattr},
    {"llistxattr", do_llistxattr},
    {"lremovexattr", do_lremovexattr},
    {"rename2", do_rename2},
    {"openInRoot", do_open_in_root},
    {"readFileInRoot", do_read_file_in_root},
    {"writeNewFile", do_write_new_file},
    {"copyRange", do_copy_range},
    {"dedupeRange", do_dedupe_range},
    {"fallocateBeyond", do_fallocate_beyond},
    {"fallocatePunch", do_fallocate_punch},
    {"spreadSubfolders", do_spread_subfolders},
    {"syncfs", do_syncfs},
    {"trimMemory", do_trim_memory},
    {"startWriteback", do_start_writeback},
    {"tryLock", do_try_lock},
    {"pidfdOpen", do_pidfd_open},
    {"pidfdSignal", do_pidfd_signal},
    {"pidfdGetfd", do_pidfd_getfd},
    {"setSubreaper", do_set_subreaper},
    {"reap", do_reap},
    {"spawnSession", do_spawn_session},
    {"umask", do_umask},
    {"getrlimit", do_getrlimit},
    {"close", do_close},
    {"seqpacketConnect", do_seqpacket_connect},
    {"datagramConnect", do_datagram_connect},
    {"readRecords", do_read_records},
    {"writeSome", do_write_some},
    {"sendFile", do_send_file},
    {"duplicate", do_duplicate},
    {"whenReadable", do_when_readable},
    {"whenWritable", do_when_writable},
    {"shutdown", do_shutdown},
    {"setWindowSize", do_set_window_size},
    {"pipe", do_pipe},
    {"netlinkOpen", do_netlink_open},
    {"netlinkTransact", do_netlink_transact},
};

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof exported / sizeof *exported; i++)
    add_method(env, exports, exported[i].name, exported[i].call);
  return exports;
}
