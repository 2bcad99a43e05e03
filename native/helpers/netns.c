/*
 * Works inside network namespaces on behalf of a daemon whose own threads never change theirs.
 *
 * Reads programs from standard input and answers each on standard output; ends with its input. It is single-threaded, starts every
 * program in the namespace it was started in, and holds no other namespace open between programs. All integers are in host byte order.
 *
 *   request   u32 length of the rest, u32 id, instructions
 *   answer    u32 length of the rest, u32 id, i32 result (0 or -errno), u32 instruction that failed (from 0), output
 *
 * An instruction is one letter followed by its operands; a string is u16 length and bytes:
 *
 *   C path                make a network namespace, bring its loopback up, hold it by a bind mount at path
 *   U path user uids gids the same, owned by a new user namespace with these maps, which is held by a bind mount at user
 *   J path user source    the same, owned by the user namespace at source, which is held at user as well
 *   E path                continue inside the namespace held at path
 *   H                     continue in the namespace the helper was started in
 *   R path                let go of the namespace held at path; absent is fine
 *   W path text           write text to a file (a sysctl of the namespace); an absent file is fine
 *   K path text           the same where the file has to be one that is there (ENOENT else); what it holds already is not written
 *   L u8 kind, u32 address, u16 port
 *                         a socket of this namespace on an IPv4 address: kind 0 a UDP socket, 1 a listening TCP one; port 0 is any.
 *                         Adds u32 descriptor, u32 port to the output. It stays open here for somebody to take over (pidfd_getfd).
 *   X u32 descriptor      close one of those
 *   S u16 protocol, u16 flags, u32 acks, u16 n, n patches, u32 size, bytes
 *                         send bytes as one netlink datagram and add everything received to the output until `acks`
 *                         acknowledgements or ends of dumps have come. flag 1: an error answer does not end the program.
 *   patch                 u32 offset, u8 kind, string: writes a u32 into bytes at offset:
 *                         'I' the index of the link with that name, 'F' a descriptor of the namespace held at that path
 *
 * Started with the argument `watch` it reads no programs: it writes one byte whenever somebody who is no such helper has changed the nftables
 * rules of its namespace, and ends with its input as well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

enum { request_limit = 16 << 20, output_limit = 64 << 20, patch_limit = 64, datagram_size = 256 << 10 };

struct input { const uint8_t *at; size_t left; int bad; };
struct output { uint8_t *bytes; size_t size, capacity; };

static int home = -1; /* the namespace we were started in */
static int at_home = 1;

/*
 * Closing a netfilter socket waits until the kernel has freed what was just deleted, 10 ms and more: the one used at home stays open.
 * Answers to earlier exchanges that ended early are told by their sequence number.
 */
static int filter_socket = -1;
static uint32_t sequence = 0;

static const void *take(struct input *in, size_t size) {
  static const uint8_t zeros[8];
  if (in->bad || in->left < size) { in->bad = 1; return size <= sizeof zeros ? zeros : NULL; }
  const void *bytes = in->at;
  in->at += size;
  in->left -= size;
  return bytes;
}

static uint16_t take_u16(struct input *in) { uint16_t v; memcpy(&v, take(in, 2), 2); return v; }
static uint32_t take_u32(struct input *in) { uint32_t v; memcpy(&v, take(in, 4), 4); return v; }

static int take_string(struct input *in, char *to, size_t room) {
  size_t size = take_u16(in);
  const void *bytes = take(in, size);
  if (in->bad || size >= room || memchr(bytes, 0, size)) { in->bad = 1; return -EINVAL; }
  memcpy(to, bytes, size);
  to[size] = 0;
  return 0;
}

static int append(struct output *out, const void *bytes, size_t size) {
  if (out->size + size > output_limit) return -EMSGSIZE;
  if (out->size + size > out->capacity) {
    size_t capacity = out->capacity ? out->capacity : 4096;
    while (capacity < out->size + size) capacity *= 2;
    uint8_t *grown = realloc(out->bytes, capacity);
    if (!grown) return -ENOMEM;
    out->bytes = grown;
    out->capacity = capacity;
  }
  memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
  return 0;
}

static int loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  struct ifreq request = { .ifr_name = "lo" };
  int result = 0;
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(fd, SIOCSIFFLAGS, &request)) result = -errno;
  close(fd);
  return result;
}

static int remove_namespace(const char *path) {
  if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT) return -errno;
  return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int make_file(const char *path) {
  int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

/* Leaves the caller in the new namespace: the program's end goes home. */
static int create_namespace(const char *path) {
  int result = make_file(path);
  if (result) return result;
  at_home = 0;
  if (unshare(CLONE_NEWNET)) result = -errno;
  else if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL)) result = -errno;
  else if ((result = loopback_up())) umount2(path, MNT_DETACH);
  if (result) unlink(path);
  return result;
}

static int enter_namespace(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  at_home = 0;
  int result = setns(fd, CLONE_NEWNET) ? -errno : 0;
  close(fd);
  return result;
}

/* Writes a file of a process and tells of every failure: a map that was not written leaves a namespace nobody can use. */
static int write_map(pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int result = write(fd, text, strlen(text)) < 0 ? -errno : 0;
  close(fd);
  return result;
}

static int hold(pid_t pid, const char *kind, const char *path) {
  char source[64];
  snprintf(source, sizeof source, "/proc/%d/ns/%s", (int)pid, kind);
  return mount(source, path, "none", MS_BIND, NULL) ? -errno : 0;
}

static int enter_user(const char *source) {
  int fd = open(source, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int result = setns(fd, CLONE_NEWUSER) || unshare(CLONE_NEWNET) ? -errno : 0;
  close(fd);
  return result;
}

/* A child in a user namespace, a new one unless there is a source, and in a network namespace that it owns; waits there to be killed. */
static pid_t spawn_owner(const char *source, int *result) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC)) { *result = -errno; return -1; }
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int32_t failure = source ? enter_user(source) : unshare(CLONE_NEWUSER | CLONE_NEWNET) ? -errno : 0;
    if (write(ready[1], &failure, sizeof failure) < 0) _exit(1);
    for (;;) pause();
  }
  *result = child < 0 ? -errno : 0;
  close(ready[1]);
  int32_t said = -EIO;
  if (child > 0) {
    ssize_t got;
    while ((got = read(ready[0], &said, sizeof said)) < 0 && errno == EINTR) continue;
    if (got != sizeof said) said = -EIO;
    *result = said;
  }
  close(ready[0]);
  return child;
}

/* A user namespace to be made with maps, or one that is there. */
struct owner { const char *source, *uids, *gids; };

/* Leaves the caller in the new network namespace, still as a process of the first user namespace. */
static int create_owned(const char *path, const char *user, const struct owner *owner) {
  int result = make_file(path);
  if (result) return result;
  unlink(user);
  pid_t child = -1;
  if (!(result = make_file(user))) child = spawn_owner(owner->source, &result);
  if (!result && !owner->source) result = write_map(child, "uid_map", owner->uids);
  if (!result && !owner->source) result = write_map(child, "gid_map", owner->gids);
  if (!result) result = hold(child, "user", user);
  if (!result) result = hold(child, "net", path);
  if (child > 0) {
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  }
  if (!result) result = enter_namespace(path);
  if (!result) result = loopback_up();
  if (result) {
    remove_namespace(path);
    remove_namespace(user);
  }
  return result;
}

static int write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : -errno;
  ssize_t size = (ssize_t)strlen(text);
  int result = write(fd, text, size) == size ? 0 : -errno;
  close(fd);
  return result;
}

/* A value that is there need not be written: /proc/sys may be read-only for us. */
static int write_setting(const char *path, const char *text) {
  char now[4096];
  struct stat about;
  if (stat(path, &about) || !S_ISREG(about.st_mode)) return -ENOENT;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? -1 : read(fd, now, sizeof now - 1);
  if (fd >= 0) close(fd);
  while (size > 0 && (now[size - 1] == '\n' || now[size - 1] == ' ')) size--;
  if (size >= 0) {
    now[size] = 0;
    if (strcmp(now, text) == 0) return 0;
  }
  return write_file(path, text);
}

static int listening_socket(uint8_t kind, uint32_t address, uint16_t port, uint32_t answer[2]) {
  int fd = socket(AF_INET, (kind ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address) };
  socklen_t size = sizeof name;
  if (bind(fd, (struct sockaddr *)&name, size) || (kind && listen(fd, 128)) || getsockname(fd, (struct sockaddr *)&name, &size)) {
    int result = -errno;
    close(fd);
    return result;
  }
  answer[0] = (uint32_t)fd;
  answer[1] = ntohs(name.sin_port);
  return fd;
}

static int run_listen(struct input *in, struct output *out) {
  uint8_t kind = *(const uint8_t *)take(in, 1);
  uint32_t address = take_u32(in), answer[2];
  uint16_t port = take_u16(in);
  if (in->bad || kind > 1) return -EINVAL;
  int fd = listening_socket(kind, address, port, answer);
  if (fd < 0) return fd;
  int result = append(out, answer, sizeof answer);
  if (result) close(fd);
  return result;
}

static int netlink_socket(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -errno;
  int on = 1, room = 4 << 20;
  struct timeval limit = { .tv_sec = 20 };
  struct sockaddr_nl self = { .nl_family = AF_NETLINK };
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (bind(fd, (struct sockaddr *)&self, sizeof self)) { int result = -errno; close(fd); return result; }
  return fd;
}

/* Gives every message of a datagram the number of this exchange. */
static void number_messages(uint8_t *bytes, size_t size) {
  sequence++;
  for (size_t at = 0, step; at + sizeof(struct nlmsghdr) <= size; at += step) {
    uint32_t length;
    memcpy(&length, bytes + at, 4);
    if (length < sizeof(struct nlmsghdr)) return;
    memcpy(bytes + at + 8, &sequence, 4);
    step = NLMSG_ALIGN((size_t)length);
  }
}

static int is_stale(const uint8_t *datagram, size_t size) {
  return size >= sizeof(struct nlmsghdr) && memcmp(datagram + 8, &sequence, 4) != 0;
}

/* Counts the ends in one datagram; the first error answer ends the exchange. */
static int count_ends(const uint8_t *datagram, size_t size, uint32_t *ends) {
  struct nlmsghdr header;
  while (size >= sizeof header) {
    memcpy(&header, datagram, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > size) return -EBADMSG;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      int32_t code = 0;
      if (header.nlmsg_len >= sizeof header + 4) memcpy(&code, datagram + sizeof header, 4);
      if (code < 0) return code;
      ++*ends;
    }
    size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= size) break;
    datagram += step;
    size -= step;
  }
  return 0;
}

static int exchange(int fd, uint8_t *bytes, size_t size, uint32_t acks, struct output *out) {
  static uint8_t datagram[datagram_size];
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  number_messages(bytes, size);
  if (sendto(fd, bytes, size, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -errno;
  for (uint32_t ends = 0; ends < acks;) {
    ssize_t got = recv(fd, datagram, sizeof datagram, MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if ((size_t)got > sizeof datagram) return -EMSGSIZE;
    if (is_stale(datagram, (size_t)got)) continue;
    int result = append(out, datagram, (size_t)got);
    if (!result) result = count_ends(datagram, (size_t)got, &ends);
    if (result) return result;
  }
  return 0;
}

static int patch(struct input *in, int fd, uint32_t *value, int *opened) {
  char text[4096];
  uint8_t kind = *(const uint8_t *)take(in, 1);
  if (take_string(in, text, sizeof text)) return -EINVAL;
  if (kind == 'F') {
    if ((*opened = open(text, O_RDONLY | O_CLOEXEC)) < 0) return -errno;
    *value = (uint32_t)*opened;
    return 0;
  }
  struct ifreq request = { 0 };
  if (kind != 'I' || strlen(text) >= IFNAMSIZ) return -EINVAL;
  memcpy(request.ifr_name, text, strlen(text));
  if (ioctl(fd, SIOCGIFINDEX, &request)) return -errno;
  *value = (uint32_t)request.ifr_ifindex;
  return 0;
}

static int send_patched(int fd, struct input *message, const uint32_t *offsets, const uint32_t *values, unsigned patches,
                        uint32_t acks, struct output *out) {
  size_t size = message->left;
  uint8_t *copy = malloc(size + 1);
  if (!copy) return -ENOMEM;
  memcpy(copy, message->at, size);
  int result = 0;
  for (unsigned i = 0; i < patches && !result; i++) {
    if (size < 4 || offsets[i] > size - 4) result = -EINVAL;
    else memcpy(copy + offsets[i], &values[i], 4);
  }
  if (!result) result = exchange(fd, copy, size, acks, out);
  free(copy);
  return result;
}

/* Operands are always read to their end, so that a failure that is let pass leaves the next instruction readable. */
static int run_send(struct input *in, struct output *out) {
  int protocol = take_u16(in), lenient = take_u16(in) & 1;
  uint32_t acks = take_u32(in), offsets[patch_limit], values[patch_limit];
  unsigned patches = take_u16(in), opened = 0;
  int held[patch_limit], result = 0;
  if (in->bad || patches > patch_limit) return -EINVAL;
  int keep = protocol == NETLINK_NETFILTER && at_home;
  int fd = keep && filter_socket >= 0 ? filter_socket : netlink_socket(protocol);
  if (fd < 0) return fd;
  if (keep) filter_socket = fd;
  for (unsigned i = 0; i < patches; i++) {
    int descriptor = -1;
    offsets[i] = take_u32(in);
    int patched = patch(in, fd, &values[i], &descriptor);
    if (descriptor >= 0) held[opened++] = descriptor;
    if (!result) result = patched;
  }
  struct input message = { .left = take_u32(in) };
  message.at = take(in, message.left);
  if (in->bad) result = -EINVAL;
  if (!result) result = send_patched(fd, &message, offsets, values, patches, acks, out);
  while (opened > 0) close(held[--opened]);
  if (!keep) close(fd);
  return lenient && !in->bad ? 0 : result;
}

static int go_home(void) {
  if (setns(home, CLONE_NEWNET)) return -errno;
  at_home = 1;
  return 0;
}

static int run_create_owned(struct input *in, const char *path) {
  static char user[4096], uids[4096], gids[4096];
  if (take_string(in, user, sizeof user) || take_string(in, uids, sizeof uids) || take_string(in, gids, sizeof gids))
    return -EINVAL;
  struct owner owner = { NULL, uids, gids };
  return create_owned(path, user, &owner);
}

static int run_create_joined(struct input *in, const char *path) {
  static char user[4096], source[4096];
  if (take_string(in, user, sizeof user) || take_string(in, source, sizeof source)) return -EINVAL;
  struct owner owner = { source, NULL, NULL };
  return create_owned(path, user, &owner);
}

static int run_one(struct input *in, struct output *out) {
  static char path[4096], text[4096];
  uint8_t letter = *(const uint8_t *)take(in, 1);
  if (letter == 'S') return run_send(in, out);
  if (letter == 'H') return go_home();
  if (letter == 'L') return run_listen(in, out);
  if (letter == 'X') return close((int)take_u32(in)) ? -errno : 0;
  if (take_string(in, path, sizeof path)) return -EINVAL;
  switch (letter) {
    case 'C': return create_namespace(path);
    case 'U': return run_create_owned(in, path);
    case 'J': return run_create_joined(in, path);
    case 'E': return enter_namespace(path);
    case 'R': return remove_namespace(path);
    case 'K': return take_string(in, text, sizeof text) ? -EINVAL : write_setting(path, text);
    case 'W': return take_string(in, text, sizeof text) ? -EINVAL : write_file(path, text);
    default: return -EINVAL;
  }
}

static int read_all(void *to, size_t size) {
  for (uint8_t *at = to; size > 0;) {
    ssize_t got = read(0, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    at += got;
    size -= (size_t)got;
  }
  return 0;
}

static int write_all(const void *from, size_t size) {
  for (const uint8_t *at = from; size > 0;) {
    ssize_t put = write(1, at, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return -1;
    at += put;
    size -= (size_t)put;
  }
  return 0;
}

/* watch ------------------------------------------------------------------------------------------------------------- */

/* The end of a transaction names the program that made it. */
static int is_foreign(const struct nlmsghdr *message, const char *own_name) {
  if (message->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) return 0;
  size_t at = NLMSG_LENGTH(sizeof(struct nfgenmsg));
  while (at + NLA_HDRLEN <= message->nlmsg_len) {
    const struct nlattr *attribute = (const void *)((const char *)message + at);
    if (attribute->nla_len < NLA_HDRLEN || at + attribute->nla_len > message->nlmsg_len) break;
    if ((attribute->nla_type & NLA_TYPE_MASK) == NFTA_GEN_PROC_NAME)
      return strncmp((const char *)attribute + NLA_HDRLEN, own_name, attribute->nla_len - NLA_HDRLEN) != 0;
    at += NLA_ALIGN(attribute->nla_len);
  }
  return 1;
}

/* What was lost because it came too fast may have been anything. */
static int saw_foreign(int fd, const char *own_name) {
  static _Alignas(struct nlmsghdr) char bytes[64 << 10];
  int seen = 0;
  for (;;) {
    ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) { seen = 1; continue; }
    if (size < 0) return seen;
    size_t left = (size_t)size;
    for (const struct nlmsghdr *message = (const void *)bytes; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
      seen |= is_foreign(message, own_name);
  }
}

static int watch(void) {
  char own_name[17] = { 0 };
  prctl(PR_GET_NAME, own_name);
  struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1u << (NFNLGRP_NFTABLES - 1) };
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address)) return 1;
  struct pollfd both[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
  for (;;) {
    if (poll(both, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return 1;
    }
    if (both[0].revents) return 0;
    if (both[1].revents && saw_foreign(fd, own_name) && write_all("!", 1)) return 0;
  }
}

int main(int count, char **arguments) {
  if (count == 2 && !strcmp(arguments[1], "watch")) return watch();
  home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0) return 1;
  uint32_t size;
  while (!read_all(&size, 4)) {
    if (size < 4 || size > request_limit) return 2;
    uint8_t *request = malloc(size);
    if (!request || read_all(request, size)) return 2;
    struct input in = { request, size, 0 };
    struct output out = { 0 };
    uint32_t head[4] = { 0, take_u32(&in), 0, 0 };
    int32_t result = 0;
    for (; in.left > 0; head[3]++)
      if ((result = run_one(&in, &out))) break;
    /* A helper that cannot come home would do the next program in the wrong place. */
    if (!at_home && go_home()) return 3;
    head[0] = (uint32_t)(12 + out.size);
    head[2] = (uint32_t)result;
    if (write_all(head, sizeof head) || write_all(out.bytes, out.size)) return 0;
    free(request);
    free(out.bytes);
  }
  return 0;
}
