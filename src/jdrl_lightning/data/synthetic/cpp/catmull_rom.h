// Values of a layer between its pixels, by the cubic that reproduces parabolas.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "box.h"
#include "simd.h"

typedef float Four __attribute__((vector_size(16)));

// Premultiplied colour and coverage.
struct Rgba {
    float value[4];

    float coverage() const { return std::clamp(value[3], 0.0f, 1.0f); }

    // Blends with what is behind, without what the cubic overshoots.
    void over(float* light) const {
        for (int c = 0; c < 3; ++c) light[c] = light[c] * (1 - coverage()) + std::max(value[c], 0.0f);
    }
};

// The cubic's weights of the pixels from -1 on; those of AREAS pixels' means reach farther.
template <int AREAS>
struct Weights {
    float cubic[4], all[3 + AREAS];

    explicit Weights(float s) {
        const float square = s * s, cube = square * s;
        cubic[0] = (-s + 2 * square - cube) / 2, cubic[1] = (2 - 5 * square + 3 * cube) / 2;
        cubic[2] = (s + 4 * square - 3 * cube) / 2, cubic[3] = (cube - square) / 2;
        for (int i = 0; i < 3 + AREAS; ++i) {
            all[i] = 0;
            for (int j = std::max(0, i - 3); j < std::min(AREAS, i + 1); ++j) all[i] += cubic[i - j] / AREAS;
        }
    }
};

// A layer (4, H, W) with nothing around it; beyond what is known the pixels at the edge go on.
struct Table {
    const float* rgba;
    Box extent, known;

    // At (x, y), master pixels from known's corner, integers being pixels' centres; with AREAS = 2 the means of 2 × 2 pixels
    // are interpolated, each named by its first.
    template <int AREAS>
    Rgba at(float x, float y) const {
        constexpr int TAPS = 3 + AREAS;
        const float floor_x = std::floor(x), floor_y = std::floor(y);
        const Weights<AREAS> across(x - floor_x), down(y - floor_y);
        const int64_t left = int64_t(floor_x) - 1, top = int64_t(floor_y) - 1;
        const int64_t column = left + known.left - extent.left, row = top + known.top - extent.top;
        const bool all_known = left >= 0 && top >= 0 && left + TAPS <= known.width() && top + TAPS <= known.height();
        if (all_known && row >= 0 && column >= 0 && row + TAPS <= extent.height() && column + TAPS <= extent.width())
            return within(row * extent.width() + column, across, down);
        return around(left, top, across, down);
    }

  private:
    template <int AREAS>
    Rgba within(int64_t first, const Weights<AREAS>& across, const Weights<AREAS>& down) const {
        const Four four = {across.all[0], across.all[1], across.all[2], across.all[3]};
        Rgba sum;
        for (int c = 0; c < 4; ++c) {
            const float* from = rgba + c * extent.height() * extent.width() + first;
            Four columns = {};
            float last = 0;
            for (int i = 0; i < 3 + AREAS; ++i, from += extent.width()) {
                Four pixels;
                std::memcpy(&pixels, from, sizeof pixels);
                columns += down.all[i] * pixels;
                if (AREAS > 1) last += down.all[i] * from[4];
            }
            columns *= four;
            sum.value[c] = (columns[0] + columns[1]) + (columns[2] + columns[3]);
            if (AREAS > 1) sum.value[c] += across.all[AREAS + 2] * last;
        }
        return sum;
    }

    template <int AREAS>
    Rgba around(int64_t left, int64_t top, const Weights<AREAS>& across, const Weights<AREAS>& down) const {
        int64_t columns[4], rows[4];  // of the layer
        for (int i = 0; i < 4; ++i) {
            columns[i] = std::clamp<int64_t>(left + i, 0, known.width() - AREAS) + known.left - extent.left;
            rows[i] = std::clamp<int64_t>(top + i, 0, known.height() - AREAS) + known.top - extent.top;
        }
        Rgba sum = {};
        const bool beside = columns[3] + AREAS <= 0 || columns[0] >= extent.width();
        if (beside || rows[3] + AREAS <= 0 || rows[0] >= extent.height()) return sum;
        for (int i = 0; i < 4 * AREAS; ++i)
            for (int j = 0; j < 4 * AREAS; ++j) {
                const int64_t row = rows[i / AREAS] + i % AREAS, column = columns[j / AREAS] + j % AREAS;
                if (row < 0 || column < 0 || row >= extent.height() || column >= extent.width()) continue;
                const float weight = down.cubic[i / AREAS] * across.cubic[j / AREAS] / (AREAS * AREAS);
                for (int c = 0; c < 4; ++c)
                    sum.value[c] += weight * rgba[(c * extent.height() + row) * extent.width() + column];
            }
        return sum;
    }
};
