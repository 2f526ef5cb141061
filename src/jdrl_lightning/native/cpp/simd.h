// Vectors of LANES pixels: the vector extension of GCC and Clang, which compiles for any instruction set.
#pragma once

#include <cstdint>
#include <cstring>

// As many as a register holds: wider ones, though allowed, go through memory, at four times the cost.
#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t Bits __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Unaligned*>(to) = value; }

// The last block of a row is short: its remaining lanes are read as zero and not written.
inline Vec load(const float* from, int64_t n) {
    if (n >= LANES) return load(from);
    float some[LANES] = {};
    std::memcpy(some, from, n * sizeof(float));
    return load(some);
}

inline void store(float* to, Vec value, int64_t n) {
    if (n >= LANES) return store(to, value);
    float some[LANES];
    store(some, value);
    std::memcpy(to, some, n * sizeof(float));
}

inline Vec all(float value) { return Vec{} + value; }
inline Vec select(Bits where, Vec yes, Vec no) { return (Vec)((where & (Bits)yes) | (~where & (Bits)no)); }
inline Vec absolute_of(Vec x) { return (Vec)((Bits)x & 0x7fffffff); }

// 2^x for x <= 0, to one unit in the last place; 2^-126 for anything smaller, NaN for NaN.
inline Vec exp2_of(Vec x) {
    x = select(x < all(-126), all(-126), x);
    const Vec rounder = all(12582912);  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const Vec rounded = x + rounder;
    const Vec r = x - (rounded - rounder);
    Vec p = all(0x1.41fba0p-13f);  // minimax for 2^r, |r| <= 1/2
    p = p * r + 0x1.5f3e50p-10f;
    p = p * r + 0x1.3b2d4ep-7f;
    p = p * r + 0x1.c6aee8p-5f;
    p = p * r + 0x1.ebfbdcp-3f;
    p = p * r + 0x1.62e430p-1f;
    p = p * r + 1.0f;
    return p * (Vec)(((Bits)rounded << 23) + 0x3f800000);
}
