// Values of a layer between its pixels, by the cubic that reproduces parabolas.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "box.h"
#include "simd.h"

typedef float Four __attribute__((vector_size(16)));

inline Four four(float value) { return Four{} + value; }

// Premultiplied colour and coverage, blended with what is behind, without what the cubic overshoots.
inline Four over(Four near, Four behind) {
    near = near > 0 ? near : Four{};
    return near + (1 - std::min(near[3], 1.0f)) * behind;
}

// The cubic's weights of the four pixels from -1 on, for a point at `share` of the way from 0 to 1. With AREAS = 2 those of
// five pixels, for means of two that are interpolated.
template <int AREAS>
struct Weights {
    Four first;
    float last;

    explicit Weights(float share) {
        const Four s = four(share);
        if (AREAS == 1) {
            first = ((Four{-0.5f, 1.5f, -1.5f, 0.5f} * s + Four{1, -2.5f, 2, -0.5f}) * s + Four{-0.5f, 0, 0.5f, 0}) * s +
                    Four{0, 1, 0, 0};
            last = 0;
        } else {
            first = ((Four{-0.25f, 0.5f, 0, -0.5f} * s + Four{0.5f, -0.75f, -0.25f, 0.75f}) * s +
                     Four{-0.25f, -0.25f, 0.25f, 0.25f}) * s + Four{0, 0.5f, 0.5f, 0};
            last = 0.25f * share * share * (share - 1);
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
    Four at(float x, float y) const {
        constexpr int TAPS = 3 + AREAS;
        const float floor_x = std::floor(x), floor_y = std::floor(y);
        const int64_t left = int64_t(floor_x) - 1, top = int64_t(floor_y) - 1;
        const int64_t column = left + known.left - extent.left, row = top + known.top - extent.top;
        const bool all_known = left >= 0 && top >= 0 && left + TAPS <= known.width() && top + TAPS <= known.height();
        if (all_known && row >= 0 && column >= 0 && row + TAPS <= extent.height() && column + TAPS <= extent.width())
            return within<AREAS>(row * extent.width() + column, x - floor_x, y - floor_y);
        return around<AREAS>(left, top, x - floor_x, y - floor_y);
    }

  private:
    template <int AREAS>
    Four within(int64_t pixel, float share_x, float share_y) const {
        const int64_t width = extent.width(), plane = extent.height() * width;
        const Weights<AREAS> across(share_x), down(share_y);
        Four sum;
        for (int c = 0; c < 4; ++c) {
            const float* from = rgba + c * plane + pixel;
            Four columns = {};
            float last = 0;
            for (int i = 0; i < 3 + AREAS; ++i, from += width) {
                const float weight = i < 4 ? down.first[i] : down.last;
                Four pixels;
                std::memcpy(&pixels, from, sizeof pixels);
                columns += weight * pixels;
                if (AREAS > 1) last += weight * from[4];
            }
            columns *= across.first;
            sum[c] = (columns[0] + columns[1]) + (columns[2] + columns[3]) + across.last * last;
        }
        return sum;
    }

    template <int AREAS>
    Four around(int64_t left, int64_t top, float share_x, float share_y) const {
        int64_t columns[4], rows[4];  // of the layer
        for (int i = 0; i < 4; ++i) {
            columns[i] = std::clamp<int64_t>(left + i, 0, known.width() - AREAS) + known.left - extent.left;
            rows[i] = std::clamp<int64_t>(top + i, 0, known.height() - AREAS) + known.top - extent.top;
        }
        Four sum = {};
        const bool beside = columns[3] + AREAS <= 0 || columns[0] >= extent.width();
        if (beside || rows[3] + AREAS <= 0 || rows[0] >= extent.height()) return sum;
        const Weights<1> across(share_x), down(share_y);
        for (int i = 0; i < 4 * AREAS; ++i)
            for (int j = 0; j < 4 * AREAS; ++j) {
                const int64_t row = rows[i / AREAS] + i % AREAS, column = columns[j / AREAS] + j % AREAS;
                if (row < 0 || column < 0 || row >= extent.height() || column >= extent.width()) continue;
                const float weight = down.first[i / AREAS] * across.first[j / AREAS] / (AREAS * AREAS);
                for (int c = 0; c < 4; ++c)
                    sum[c] += weight * rgba[(c * extent.height() + row) * extent.width() + column];
            }
        return sum;
    }
};
