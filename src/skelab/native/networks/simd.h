// Vectors of floats, as wide as the instruction set that this file is compiled for has them.
//
// Everything below is GCC's and Clang's vector extension, so that one source serves all; only
// AVX-512's rounding to bfloat16 and its product of pairs are intrinsics, for want of an extension.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace skelab {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRegisters = 32;
#else
constexpr int kLanes = 4, kRegisters = 16;
#endif

#define SKELAB_INLINE inline __attribute__((always_inline))
#define SKELAB_UNROLL _Pragma("GCC unroll 32")

using Vector = float __attribute__((vector_size(4 * kLanes)));

// The same in memory: at any address, whatever was declared there.
using StoredVector = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

SKELAB_INLINE Vector load(const float* from) { return *reinterpret_cast<const StoredVector*>(from); }
SKELAB_INLINE void store(float* to, Vector value) { *reinterpret_cast<StoredVector*>(to) = value; }
SKELAB_INLINE Vector broadcast(float value) { return value - Vector{}; }
SKELAB_INLINE Vector maximum(Vector a, Vector b) { return a > b ? a : b; }
SKELAB_INLINE Vector minimum(Vector a, Vector b) { return a < b ? a : b; }
SKELAB_INLINE Vector rectified(Vector a) { return maximum(Vector{}, a); }  // NaN stays

// tanh by a ratio of two odd/even polynomials on [-7.9, 7.9], beyond which a float's tanh is 1.
// Off by less than 4e-7.
SKELAB_INLINE Vector tanh(Vector x) {
    constexpr float kEnd = 7.90531110763549805f;
    x = maximum(minimum(x, broadcast(kEnd)), broadcast(-kEnd));
    const Vector square = x * x;
    Vector above = broadcast(-2.76076847742355e-16f), below = broadcast(1.19825839466702e-06f);
    for (float coefficient : {2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
                              1.48572235717979e-05f, 6.37261928875436e-04f, 4.89352455891786e-03f})
        above = above * square + broadcast(coefficient);
    for (float coefficient : {1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f})
        below = below * square + broadcast(coefficient);
    return above * x / below;
}

// A bfloat16: the upper half of a float.
struct Bf16 {
    uint16_t bits;
};

SKELAB_INLINE float widened(float value) { return value; }
SKELAB_INLINE float widened(Bf16 value) {
    const uint32_t bits = uint32_t(value.bits) << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

template <class Number>
Number rounded(float value);
template <>
inline float rounded<float>(float value) {
    return value;
}
template <>
inline Bf16 rounded<Bf16>(float value) {  // to the nearest, ties to even
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return {uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

#if defined(__AVX512BF16__)
using Words = uint32_t __attribute__((vector_size(4 * kLanes)));
using Halves = uint16_t __attribute__((vector_size(2 * kLanes)));
using StoredHalves = uint16_t __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));
using StoredWords = uint32_t __attribute__((vector_size(4 * kLanes), aligned(2), may_alias));

SKELAB_INLINE Halves narrowed(Vector value) { return Halves(_mm512_cvtneps_pbh(__m512(value))); }
SKELAB_INLINE Words words(Halves halves) { return __builtin_convertvector(halves, Words); }

SKELAB_INLINE Vector load(const Bf16* from) {
    return Vector(words(*reinterpret_cast<const StoredHalves*>(from)) << 16);
}
SKELAB_INLINE void store(Bf16* to, Vector value) {
    *reinterpret_cast<StoredHalves*>(to) = narrowed(value);
}
// Two rows as their pairs of numbers, as the right factor of a product of pairs is read.
SKELAB_INLINE void store_pairs(Bf16* to, Vector even, Vector odd) {
    *reinterpret_cast<StoredWords*>(to) = words(narrowed(even)) | words(narrowed(odd)) << 16;
}
#endif

// How the two factors of a product are read: `kDepth` numbers of the inner axis at once.
template <class Number>
struct Factors;

template <>
struct Factors<float> {
    static constexpr int kDepth = 1;
    using Wide = Vector;
    static SKELAB_INLINE Wide left(const float* from) { return broadcast(*from); }
    static SKELAB_INLINE Wide right(const float* from) { return load(from); }
    static SKELAB_INLINE Vector add(Vector sum, Wide a, Wide b) { return sum + a * b; }
};

#if defined(__AVX512BF16__)
template <>
struct Factors<Bf16> {
    static constexpr int kDepth = 2;
    using Wide = __m512bh;
    static SKELAB_INLINE Wide left(const Bf16* from) {
        int32_t pair;
        std::memcpy(&pair, from, sizeof pair);
        return (__m512bh)_mm512_set1_epi32(pair);
    }
    static SKELAB_INLINE Wide right(const Bf16* from) {
        return (__m512bh)_mm512_loadu_si512(from);
    }
    static SKELAB_INLINE Vector add(Vector sum, Wide a, Wide b) {
        return Vector(_mm512_dpbf16_ps(__m512(sum), a, b));
    }
};
#endif

}  // namespace skelab
