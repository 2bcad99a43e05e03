/*
 * SHA-256 (FIPS 180-4) for processors with AVX-512 and without the SHA instructions, as a Node-API (version 8) addon of its own. Typed by
 * src/oci/fast-sha256.ts. OpenSSL computes a round in two dozen scalar instructions, which is all that a core can do at once; here the halves of a round
 * that belong to `a` and to `e` are lanes of one vector, in two thirds as many, and two streams are hashed in the instructions of one.
 *
 * isFaster                        this processor is one of those
 * begin(state)                    an empty stream, in memory of `stateBytes` bytes
 * append(state, bytes)
 * appendBoth(s1, b1, s2, b2)      the same for two streams, which takes little longer than one as far as both have bytes
 * finish(state, digest)           32 bytes; the state is spent
 */
#define NAPI_VERSION 8
#include <cpuid.h>
#include <immintrin.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 64
#define VECTORS __attribute__((target("avx2,avx512f,avx512vl,avx512bw,avx512dq")))
#define INLINE static inline __attribute__((always_inline)) VECTORS

struct stream {
  uint32_t hash[8];
  uint64_t size;
  /* What came behind the last whole block. */
  uint8_t rest[BLOCK];
};

struct bytes {
  uint8_t *data;
  size_t size;
};

static const struct stream empty = {.hash = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                             0x1f83d9ab, 0x5be0cd19}};

static const uint32_t constants[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The message schedule, four words at a time, of two blocks: one in each half of a vector. */

INLINE __m256i load_words(const uint8_t *first, const uint8_t *second) {
  const __m128i reverse = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m256i words = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)first));
  words = _mm256_inserti128_si256(words, _mm_loadu_si128((const __m128i *)second), 1);
  return _mm256_shuffle_epi8(words, _mm256_broadcastsi128_si256(reverse));
}

#define XOR3 0x96
#define SMALL_SIGMA(words, first, second, shift) \
  _mm256_ternarylogic_epi32(_mm256_ror_epi32(words, first), _mm256_ror_epi32(words, second), _mm256_srli_epi32(words, shift), XOR3)

/* The words that follow on the last sixteen. The upper two of each block need the lower two. */
INLINE __m256i next_words(__m256i w0, __m256i w4, __m256i w8, __m256i w12) {
  const __m256i w1 = _mm256_alignr_epi8(w4, w0, 4), w9 = _mm256_alignr_epi8(w12, w8, 4);
  __m256i next = _mm256_add_epi32(_mm256_add_epi32(w0, SMALL_SIGMA(w1, 7, 18, 3)), w9);
  const __m256i w14 = _mm256_shuffle_epi32(w12, 0x0e);
  next = _mm256_mask_add_epi32(next, 0x33, next, SMALL_SIGMA(w14, 17, 19, 10));
  const __m256i w16 = _mm256_shuffle_epi32(next, 0x40);
  return _mm256_mask_add_epi32(next, 0xcc, next, SMALL_SIGMA(w16, 17, 19, 10));
}

INLINE __m256i add_constants(__m256i words, int step) {
  return _mm256_add_epi32(words, _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(constants + 4 * step))));
}

/* Of two streams the words alternate; of one, those of its second block stand behind those of its first. */
INLINE void store_words(uint32_t *schedule, int step, __m256i words, bool both) {
  const __m128i *added = (const __m128i *)(constants + 4 * step);
  words = _mm256_add_epi32(words, _mm256_broadcastsi128_si256(_mm_load_si128(added)));
  const __m128i first = _mm256_castsi256_si128(words), second = _mm256_extracti128_si256(words, 1);
  if (both) {
    _mm_store_si128((__m128i *)(schedule + 8 * step), _mm_unpacklo_epi32(first, second));
    _mm_store_si128((__m128i *)(schedule + 8 * step + 4), _mm_unpackhi_epi32(first, second));
  } else {
    _mm_store_si128((__m128i *)(schedule + 4 * step), first);
    _mm_store_si128((__m128i *)(schedule + BLOCK + 4 * step), second);
  }
}

/*
 * A vector holds a of both streams, then e of both; others b and f, c and g, d and h. With the e half's V = Sigma1(e) + Ch(e, f, g) it is
 * e' = d + h + word + V and a' = h + word + V + Sigma0(a) + Maj(a, b, c): the new vector takes the place of d and h.
 * In assembler, as compilers copy vectors around masked instructions.
 */
#define ROUND(add, word, ae, bf, cg, dh) \
  do { \
    __m128i sum, s, t, u, v; \
    __asm__("vpshufd $0x4e, %[dh_], %[sum]\n\t" /* h, d */ \
            "vprorvd %[r1], %[ae_], %[s]\n\t" \
            "vprorvd %[r2], %[ae_], %[t]\n\t" \
            "vpaddd %[dh_], %[sum], %[sum]%{%[e]%}\n\t" /* h, d + h */ \
            "vprorvd %[r3], %[ae_], %[u]\n\t" add /* h + word, d + h + word */ \
            "vpternlogd $0x96, %[t], %[u], %[s]\n\t" /* Sigma0, Sigma1 */ \
            "vmovdqa %[ae_], %[u]\n\t" \
            "vpternlogd $0xe8, %[bf_], %[cg_], %[u]%{%[a]%}\n\t" /* Maj */ \
            "vpternlogd $0xca, %[cg_], %[bf_], %[u]%{%[e]%}\n\t" /* Ch */ \
            "vpaddd %[u], %[s], %[s]\n\t" \
            "vpshufd $0xee, %[s], %[u]\n\t" /* V, V */ \
            "vpaddd %[s], %[sum], %[sum]%{%[a]%}\n\t" \
            "vpaddd %[u], %[sum], %[dh_]\n\t" \
            : [dh_] "+x"(dh), [sum] "=&x"(sum), [s] "=&x"(s), [t] "=&x"(t), [u] "=&x"(u), [v] "=&x"(v) \
            : [ae_] "x"(ae), [bf_] "x"(bf), [cg_] "x"(cg), [r1] "x"(r1), [r2] "x"(r2), [r3] "x"(r3), [a] "Yk"(a_half), \
              [e] "Yk"(e_half), [w] "m"(word)); \
  } while (0)
#define ADD_WORD "vpaddd %[w]%{1to4%}, %[sum], %[sum]\n\t"
#define ADD_PAIR "vpbroadcastq %[w], %[v]\n\t vpaddd %[v], %[sum], %[sum]\n\t"

#define FOUR_ROUNDS(add, words) \
  ROUND(add, (words)[0], x0, x1, x2, x3); \
  ROUND(add, (words)[1], x3, x0, x1, x2); \
  ROUND(add, (words)[2], x2, x3, x0, x1); \
  ROUND(add, (words)[3], x1, x2, x3, x0)

/* What a step of the schedule has ready: eight words, four rounds of two streams or eight of one. */
#define ROUNDS(step) \
  if (both) { \
    FOUR_ROUNDS(ADD_PAIR, (const pair *)(now + 8 * (step))); \
  } else { \
    FOUR_ROUNDS(ADD_WORD, now + 8 * (step)); \
    FOUR_ROUNDS(ADD_WORD, now + 8 * (step) + 4); \
  }

#define END_BLOCK() \
  x0 = y0 = _mm_add_epi32(x0, y0); \
  x1 = y1 = _mm_add_epi32(x1, y1); \
  x2 = y2 = _mm_add_epi32(x2, y2); \
  x3 = y3 = _mm_add_epi32(x3, y3)

typedef uint64_t pair __attribute__((may_alias));

INLINE __m128i load_state(const uint32_t *first, const uint32_t *second, int at) {
  return _mm_set_epi32((int)second[at + 4], (int)first[at + 4], (int)second[at], (int)first[at]);
}

INLINE void store_state(uint32_t *first, uint32_t *second, int at, __m128i state, bool both) {
  uint32_t words[4];
  _mm_storeu_si128((__m128i *)words, state);
  first[at] = words[0];
  first[at + 4] = words[2];
  if (!both) return;
  second[at] = words[1];
  second[at + 4] = words[3];
}

/*
 * `count` times two blocks: one of each stream (`both`), or two that follow each other in the first. The next two are scheduled between the rounds of these,
 * whose instructions wait for each other.
 */
INLINE void compress(uint32_t *first, const uint8_t *p, uint32_t *second, const uint8_t *q, size_t count, bool both) {
  uint32_t schedules[2][2 * BLOCK] __attribute__((aligned(BLOCK)));
  const __m128i r1 = _mm_set_epi32(6, 6, 2, 2), r2 = _mm_set_epi32(11, 11, 13, 13), r3 = _mm_set_epi32(25, 25, 22, 22);
  const __mmask8 a_half = 0x3, e_half = 0xc;
  __m128i x0 = load_state(first, second, 0), x1 = load_state(first, second, 1), x2 = load_state(first, second, 2),
          x3 = load_state(first, second, 3);
  __m128i y0 = x0, y1 = x1, y2 = x2, y3 = x3;
  __m256i w0 = load_words(p, q), w4 = load_words(p + 16, q + 16), w8 = load_words(p + 32, q + 32), w12 = load_words(p + 48, q + 48);
  for (int step = 0; step < 16; step += 4) {
    if (step > 0) {
      w0 = next_words(w0, w4, w8, w12);
      w4 = next_words(w4, w8, w12, w0);
      w8 = next_words(w8, w12, w0, w4);
      w12 = next_words(w12, w0, w4, w8);
    }
    store_words(schedules[0], step, w0, both);
    store_words(schedules[0], step + 1, w4, both);
    store_words(schedules[0], step + 2, w8, both);
    store_words(schedules[0], step + 3, w12, both);
  }
  for (size_t i = 0; i < count; i++) {
    const uint32_t *now = schedules[i % 2];
    uint32_t *next = schedules[(i + 1) % 2];
    /* Behind the last there is nothing to read: it is scheduled again, for nobody. */
    const size_t advance = i + 1 == count ? 0 : both ? BLOCK : 2 * BLOCK;
    p += advance;
    q += advance;
    w0 = load_words(p, q);
    ROUNDS(0);
    store_words(next, 0, w0, both);
    w4 = load_words(p + 16, q + 16);
    ROUNDS(1);
    store_words(next, 1, w4, both);
    w8 = load_words(p + 32, q + 32);
    ROUNDS(2);
    store_words(next, 2, w8, both);
    w12 = load_words(p + 48, q + 48);
    ROUNDS(3);
    store_words(next, 3, w12, both);
    for (int step = 4; step < 16; step += 4) {
      w0 = next_words(w0, w4, w8, w12);
      ROUNDS(step);
      store_words(next, step, w0, both);
      w4 = next_words(w4, w8, w12, w0);
      ROUNDS(step + 1);
      store_words(next, step + 1, w4, both);
      w8 = next_words(w8, w12, w0, w4);
      ROUNDS(step + 2);
      store_words(next, step + 2, w8, both);
      w12 = next_words(w12, w0, w4, w8);
      ROUNDS(step + 3);
      store_words(next, step + 3, w12, both);
      if (step == 12 || (step == 4 && !both)) {
        END_BLOCK();
      }
    }
  }
  store_state(first, second, 0, x0, both);
  store_state(first, second, 1, x1, both);
  store_state(first, second, 2, x2, both);
  store_state(first, second, 3, x3, both);
}

VECTORS static void compress_one(uint32_t *hash, const uint8_t *blocks, size_t count) {
  if (count >= 2) compress(hash, blocks, hash, blocks + BLOCK, count / 2, false);
  if (count % 2 == 0) return;
  uint32_t unused[8] = {0};
  const uint8_t *last = blocks + (count - 1) * BLOCK;
  compress(hash, last, unused, last, 1, true);
}

VECTORS static void compress_both(uint32_t *first, const uint8_t *p, uint32_t *second, const uint8_t *q, size_t count) {
  if (count > 0) compress(first, p, second, q, count, true);
}

/* Takes what completes the block that the stream has begun. */
static void fill_rest(struct stream *stream, struct bytes *bytes) {
  const size_t begun = stream->size % BLOCK;
  if (begun == 0) return;
  const size_t taken = bytes->size < BLOCK - begun ? bytes->size : BLOCK - begun;
  memcpy(stream->rest + begun, bytes->data, taken);
  *bytes = (struct bytes){.data = bytes->data + taken, .size = bytes->size - taken};
  stream->size += taken;
  if (begun + taken == BLOCK) compress_one(stream->hash, stream->rest, 1);
}

/* At a block's border, or with no bytes. */
static void append_rest(struct stream *stream, struct bytes bytes) {
  const size_t whole = bytes.size / BLOCK;
  compress_one(stream->hash, bytes.data, whole);
  memcpy(stream->rest, bytes.data + whole * BLOCK, bytes.size % BLOCK);
  stream->size += bytes.size;
}

static void append_stream(struct stream *stream, struct bytes bytes) {
  fill_rest(stream, &bytes);
  if (bytes.size > 0) append_rest(stream, bytes);
}

static void append_streams(struct stream *first, struct bytes p, struct stream *second, struct bytes q) {
  fill_rest(first, &p);
  fill_rest(second, &q);
  const size_t both = (p.size < q.size ? p.size : q.size) / BLOCK;
  compress_both(first->hash, p.data, second->hash, q.data, both);
  first->size += both * BLOCK;
  second->size += both * BLOCK;
  append_stream(first, (struct bytes){.data = p.data + both * BLOCK, .size = p.size - both * BLOCK});
  append_stream(second, (struct bytes){.data = q.data + both * BLOCK, .size = q.size - both * BLOCK});
}

static void finish_stream(struct stream *stream, uint8_t *digest) {
  static const uint8_t padding[BLOCK] = {0x80};
  uint64_t bits = __builtin_bswap64(stream->size * 8);
  const size_t padded = 1 + (2 * BLOCK - 1 - sizeof bits - stream->size % BLOCK) % BLOCK;
  append_stream(stream, (struct bytes){.data = (uint8_t *)padding, .size = padded});
  append_stream(stream, (struct bytes){.data = (uint8_t *)&bits, .size = sizeof bits});
  for (int i = 0; i < 8; i++) {
    const uint32_t word = __builtin_bswap32(stream->hash[i]);
    memcpy(digest + 4 * i, &word, sizeof word);
  }
}

static bool is_faster(void) {
  unsigned int a, b, c, d;
  const bool has_sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
  __builtin_cpu_init();
  return !has_sha && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

/* All arguments are bytes. */
static bool get_arguments(napi_env env, napi_callback_info info, size_t count, struct bytes *bytes) {
  size_t given = count;
  napi_value values[4];
  bool fits = napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count;
  for (size_t i = 0; fits && i < count; i++) {
    napi_typedarray_type type;
    void *data;
    fits = napi_get_typedarray_info(env, values[i], &type, &bytes[i].size, &data, NULL, NULL) == napi_ok && type == napi_uint8_array;
    bytes[i].data = data;
  }
  if (!fits) napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "sha256: want bytes");
  return fits;
}

static struct stream *get_stream(napi_env env, struct bytes bytes) {
  if (bytes.size == sizeof(struct stream) && (uintptr_t)bytes.data % _Alignof(struct stream) == 0) return (struct stream *)bytes.data;
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "sha256: want a state");
  return NULL;
}

static napi_value begin(napi_env env, napi_callback_info info) {
  struct bytes arguments[1];
  struct stream *stream;
  if (get_arguments(env, info, 1, arguments) && (stream = get_stream(env, arguments[0]))) *stream = empty;
  return NULL;
}

static napi_value append(napi_env env, napi_callback_info info) {
  struct bytes arguments[2];
  struct stream *stream;
  if (get_arguments(env, info, 2, arguments) && (stream = get_stream(env, arguments[0]))) append_stream(stream, arguments[1]);
  return NULL;
}

static napi_value append_both(napi_env env, napi_callback_info info) {
  struct bytes arguments[4];
  struct stream *first, *second;
  if (get_arguments(env, info, 4, arguments) && (first = get_stream(env, arguments[0])) && (second = get_stream(env, arguments[2])))
    append_streams(first, arguments[1], second, arguments[3]);
  return NULL;
}

static napi_value finish(napi_env env, napi_callback_info info) {
  struct bytes arguments[2];
  struct stream *stream;
  if (!get_arguments(env, info, 2, arguments) || !(stream = get_stream(env, arguments[0]))) return NULL;
  if (arguments[1].size == 32)
    finish_stream(stream, arguments[1].data);
  else
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "sha256: a digest is 32 bytes");
  return NULL;
}

static void add_function(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  napi_value faster, state_bytes;
  napi_get_boolean(env, is_faster(), &faster);
  napi_set_named_property(env, exports, "isFaster", faster);
  napi_create_uint32(env, sizeof(struct stream), &state_bytes);
  napi_set_named_property(env, exports, "stateBytes", state_bytes);
  add_function(env, exports, "begin", begin);
  add_function(env, exports, "append", append);
  add_function(env, exports, "appendBoth", append_both);
  add_function(env, exports, "finish", finish);
  return exports;
}
