/*
 * Deflate by ISA-L, as a Node-API (version 8) addon of its own: built only where the library is. Typed by src/diff/fast-deflate.ts.
 *
 * deflate(block, window) compresses in libuv's thread pool and answers a promise of the bytes: deflate blocks that end at a byte boundary and are not
 * the last, so that those of several calls can be joined. `window` is what the block may refer back to. The same arguments give the same
 * bytes on one machine; another processor may find other matches.
 */
#define NAPI_VERSION 8
#include <isa-l/igzip_lib.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdlib.h>

/* The one whose output is below 1.12 times zlib's level 6, at four times the speed of its level 1. */
#define LEVEL 2
#define LEVEL_ROOM ISAL_DEF_LVL2_DEFAULT

struct bytes {
  uint8_t *data;
  size_t size;
};

struct job {
  napi_async_work work;
  napi_deferred deferred;
  /* Keep the memory of the arguments. */
  napi_ref held[2];
  struct bytes block, window, result;
  const char *failure;
};

static bool grow(struct bytes *bytes, size_t size) {
  uint8_t *data = realloc(bytes->data, size);
  if (data == NULL) return false;
  *bytes = (struct bytes){.data = data, .size = size};
  return true;
}

static const char *compress(struct job *job, struct isal_zstream *stream, uint8_t *room) {
  isal_deflate_init(stream);
  stream->level = LEVEL;
  stream->level_buf = room;
  stream->level_buf_size = LEVEL_ROOM;
  stream->flush = SYNC_FLUSH;
  stream->end_of_stream = 0;
  if (job->window.size > 0 && isal_deflate_set_dict(stream, job->window.data, (uint32_t)job->window.size) != COMP_OK)
    return "deflate: the window was refused";
  stream->next_in = job->block.data;
  stream->avail_in = (uint32_t)job->block.size;
  size_t used = 0;
  do {
    /* Enough for what does not compress: usually one round. */
    if (!grow(&job->result, used + job->block.size + job->block.size / 8 + 4096)) return "deflate: out of memory";
    stream->next_out = job->result.data + used;
    stream->avail_out = (uint32_t)(job->result.size - used);
    if (isal_deflate(stream) != COMP_OK) return "deflate: the library failed";
    used = job->result.size - stream->avail_out;
  } while (stream->avail_out == 0);
  if (stream->avail_in > 0) return "deflate: bytes were left";
  job->result.size = used;
  return NULL;
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct job *job = data;
  struct isal_zstream *stream = malloc(sizeof *stream);
  uint8_t *room = malloc(LEVEL_ROOM);
  job->failure = stream != NULL && room != NULL ? compress(job, stream, room) : "deflate: out of memory";
  free(room);
  free(stream);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct job *job = data;
  napi_value value, text;
  if (status != napi_ok && job->failure == NULL) job->failure = "deflate: canceled";
  if (job->failure == NULL &&
      napi_create_buffer_copy(env, job->result.size, job->result.data, NULL, &value) == napi_ok) {
    napi_resolve_deferred(env, job->deferred, value);
  } else {
    napi_create_string_utf8(env, job->failure != NULL ? job->failure : "deflate: out of memory", NAPI_AUTO_LENGTH, &text);
    napi_create_error(env, NULL, text, &value);
    napi_reject_deferred(env, job->deferred, value);
  }
  for (int i = 0; i < 2; i++) napi_delete_reference(env, job->held[i]);
  napi_delete_async_work(env, job->work);
  free(job->result.data);
  free(job);
}

static bool get_bytes(napi_env env, napi_value value, struct bytes *bytes) {
  bool is_typed = false;
  napi_typedarray_type type;
  void *data;
  if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed ||
      napi_get_typedarray_info(env, value, &type, &bytes->size, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array || bytes->size > UINT32_MAX / 2) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "deflate: want a block and a window of bytes");
    return false;
  }
  bytes->data = data;
  return true;
}

static napi_value deflate(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value args[2], name, promise;
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL || napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok || count != 2 ||
      !get_bytes(env, args[0], &job->block) || !get_bytes(env, args[1], &job->window)) {
    free(job);
    return NULL;
  }
  for (int i = 0; i < 2; i++) napi_create_reference(env, args[i], 1, &job->held[i]);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "WHERRYDEFLATE", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "deflate", NAPI_AUTO_LENGTH, deflate, NULL, &function);
  napi_set_named_property(env, exports, "deflate", function);
  return exports;
}
