// Sums of shifted copies of the image (forward) and their adjoint (backward), for some columns of one row.
#pragma once

#include "map_grid.h"
#include "orbits.h"
#include "simd.h"

// Sums of the two rows at the same distance above and below; the sum over an orbit takes a few columns of these.
struct Folded {
    const Orbits& orbits;
    int64_t stride;
    std::vector<float> rows;  // [channel][dy][column], with reach more columns on each side

    Folded(const Orbits& orbits, int64_t channels)
        : orbits(orbits), stride(COLUMNS + 2 * orbits.reach + LANES), rows(channels * orbits.levels * stride) {}

    // padded: the row's first column, which is reach columns left of the first pixel.
    void fill(const float* padded, int64_t width, int64_t plane, int64_t channels, int64_t columns) {
        const int64_t n = columns + 2 * orbits.reach;
        float* to = rows.data();
        for (int64_t c = 0; c < channels; ++c, padded += plane)
            for (int dy = 0; dy < orbits.levels; ++dy, to += stride) {
                const float *above = padded - dy * width, *below = padded + dy * width;
                for (int64_t x = 0; x < n; ++x) to[x] = dy == 0 ? padded[x] : above[x] + below[x];
            }
    }

    // The image summed over an orbit, at LANES pixels from x.
    Vec over(const Orbit& orbit, int64_t channel, int64_t x) const {
        const float* centre = rows.data() + channel * orbits.levels * stride + orbits.reach + x;
        const float *near = centre + orbit.b * stride, *far = centre + orbit.a * stride;
        if (orbit.a == 0) return load(near);
        if (orbit.a == orbit.b) return load(far - orbit.a) + load(far + orbit.a);
        const Vec sides = load(near - orbit.a) + load(near + orbit.a);
        return sides + (orbit.b == 0 ? load(far) : load(far - orbit.b) + load(far + orbit.b));
    }
};

// Each pixel scatters its gradient over the elements of its kernel.
struct Scatter {
    const Orbits& orbits;
    int64_t stride;
    std::vector<float> mixture;  // [orbit][column]
    std::vector<float> shares;   // [orbit][column]: mixture times gradient; zero in 2 reach columns on each side

    explicit Scatter(const Orbits& orbits)
        : orbits(orbits), stride(COLUMNS + 4 * orbits.reach + 2 * LANES), mixture(orbits.size() * COLUMNS),
          shares(orbits.size() * stride) {}

    // grad_padded: the row's first column, which is reach columns left of the first pixel.
    void add(const float* grad_out, float* grad_padded, int64_t width, int64_t columns) {
        for (int i = 0; i < orbits.size(); ++i) {
            float *share = shares.data() + i * stride + 2 * orbits.reach, *end = shares.data() + (i + 1) * stride;
            for (int64_t x = 0; x < columns; x += LANES, share += LANES)
                store(share, load(mixture.data() + i * COLUMNS + x) * load(grad_out + x, columns - x));
            std::fill(share, end, 0.0f);
        }
        for (int dy = 0; dy < orbits.levels; ++dy) {
            const std::vector<int>& at = orbits.at[dy];
            float *above = grad_padded - dy * width, *below = grad_padded + dy * width;
            for (int64_t x = 0; x < columns + 2 * orbits.reach; x += LANES) {
                const float* share = shares.data() + orbits.reach + x;
                Vec sum = load(share + at[0] * stride);
                for (int dx = 1; dx < int(at.size()); ++dx)
                    sum += load(share + at[dx] * stride - dx) + load(share + at[dx] * stride + dx);
                const int64_t n = columns + 2 * orbits.reach - x;
                store(above + x, load(above + x, n) + sum, n);
                if (dy != 0) store(below + x, load(below + x, n) + sum, n);
            }
        }
    }
};
