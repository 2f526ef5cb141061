// How the sharp shot is displaced against the blurry one, and the inverse: see misalignment.py.
#pragma once

#include <cmath>

#include "simd.h"

struct Vec2 {
    Vec x, y;
};

inline Vec larger(Vec a, Vec b) { return select(a > b, a, b); }

inline float largest(Vec value) {
    float most = value[0];
    for (int i = 1; i < LANES; ++i) most = value[i] > most ? value[i] : most;
    return most;
}

// Of angles up to some hundreds of radians, to 1e-7.
inline Vec sin_of(Vec angle) {
    const Vec rounder = all(12582912);  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const Vec turns = angle * 0.318309886f + rounder, n = turns - rounder;
    const Vec r = (angle - n * 3.140625f) - n * 9.67653589793e-4f;
    const Vec s = r * r;
    Vec p = all(-2.3889859e-8f);
    p = p * s + 2.7525562e-6f;
    p = p * s - 1.9840874e-4f;
    p = p * s + 8.3333310e-3f;
    p = p * s - 1.6666667e-1f;
    const Vec sine = r + r * s * p;
    return (Vec)((Bits)sine ^ ((Bits)turns << 31));  // the sign of an odd half turn
}

// Displacement of one layer, whose inverse depth is a plane. Frame pixels from the frame's centre.
struct Displacement {
    float zoom, axis[2], shift[2], parallax[2], height, waves[2][3][2], phases[2][3], converged;
    float level, slope[2];

    // values: as displace_cpu.py writes them; plane: level and slopes.
    Displacement(const double* values, const double* plane) {
        float* fields[] = {&zoom, axis, shift, parallax, &height, &waves[0][0][0], &phases[0][0], &converged};
        const int lengths[] = {1, 2, 2, 2, 1, 12, 6, 1};
        for (int i = 0; i < 8; ++i)
            for (int j = 0; j < lengths[i]; ++j) fields[i][j] = float(*values++);
        level = float(plane[0]), slope[0] = float(plane[1]), slope[1] = float(plane[2]);
    }

    Vec2 forward(Vec x, Vec y) const {
        const Vec near = level + slope[0] * x + slope[1] * y - 0.5f;
        Vec2 moved = {zoom * (x - axis[0]) + shift[0] + parallax[0] * near,
                      zoom * (y - axis[1]) + shift[1] + parallax[1] * near};
        if (height != 0)
            for (int wave = 0; wave < 3; ++wave) {
                moved.x += height * sin_of(waves[0][wave][0] * x + waves[0][wave][1] * y + phases[0][wave]);
                moved.y += height * sin_of(waves[1][wave][0] * x + waves[1][wave][1] * y + phases[1][wave]);
            }
        return moved;
    }

    // e(q) = -forward(q + e(q)), by fixed-point iteration.
    Vec2 inverse(Vec x, Vec y) const {
        Vec2 moved = forward(x, y);
        for (int step = 0; step < 20; ++step) {
            const Vec2 before = moved;
            moved = forward(x - before.x, y - before.y);
            if (largest(larger(absolute_of(moved.x - before.x), absolute_of(moved.y - before.y))) < converged) break;
        }
        return {-moved.x, -moved.y};
    }
};
