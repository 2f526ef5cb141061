// Blur of a layer: each pixel is gathered from the pictures of a point at the two whole radii around its own. A direct sum:
// vectors of pixels along a row share its taps. defocus.py has the same in torch, by Fourier transforms.
#pragma once

#include <algorithm>
#include <vector>

#include "box.h"
#include "simd.h"

// Kernels of whole radii, averaged over the pixels of the result, which are `at` of the layer's a side: value (v, u) is the
// weight of the layer's pixel (at · y + v - reach, at · x + u - reach) in pixel (y, x) of the result.
struct Kernel {
    int64_t reach, size;
    std::vector<float> value;

    // kernel: (n, n), n odd, to be convolved with: it is turned around.
    Kernel(const double* kernel, int64_t n, int64_t at) : reach(n / 2), size(n + at - 1), value(size * size) {
        std::vector<double> sum(size * size);
        for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < n; ++j)
                for (int64_t s = 0; s < at; ++s)
                    for (int64_t t = 0; t < at; ++t) sum[(n - 1 - i + s) * size + n - 1 - j + t] += kernel[i * n + j];
        for (int64_t i = 0; i < size * size; ++i) value[i] = float(sum[i] / double(at * at));
    }

    float at(int64_t v, int64_t u) const {  // from the first pixel of the result's pixel, 0 outside
        v += reach, u += reach;
        return v < 0 || u < 0 || v >= size || u >= size ? 0.0f : value[v * size + u];
    }
};

// Taps of two kernels along one row of the layer and one of its `at` phases.
struct Run {
    int64_t row, phase, slot;  // slot: column in the phase, from that of the result's pixel
    int64_t first, count;      // of the pairs
};

struct KernelPair {
    std::vector<Run> runs;
    std::vector<float> pairs;  // (tap, 2)

    // margin: columns of the layer before the first, a multiple of at.
    KernelPair(const Kernel& low, const Kernel& high, int64_t at, int64_t margin) {
        const int64_t reach = std::max(low.reach, high.reach), end = reach + at;
        for (int64_t v = -reach; v < end; ++v)
            for (int64_t phase = 0; phase < at; ++phase) {
                const int64_t from = -reach + (phase + reach) % at;
                int64_t first = end, last = -reach - 1;
                for (int64_t u = from; u < end; u += at)
                    if (low.at(v, u) != 0 || high.at(v, u) != 0) first = std::min(first, u), last = u;
                if (last < first) continue;
                runs.push_back({v, phase, (first + margin) / at, int64_t(pairs.size()) / 2, (last - first) / at + 1});
                for (int64_t u = first; u <= last; u += at) pairs.insert(pairs.end(), {low.at(v, u), high.at(v, u)});
            }
    }
};

// The rows of a layer that a result needs, zeros beside them, split into phases: [row][phase][channel][slot].
struct Picture {
    int64_t top, bottom, at, channels, slots;
    std::vector<float> value;
    std::vector<std::pair<int64_t, int64_t>> covered;  // slots of each row in which anything is

    // needed: of the layer's pixels; its left edge is slot 0.
    Picture(const float* rgba, const Box& extent, const Box& needed, int64_t at, int64_t channels)
        : top(std::max(needed.top, extent.top)), bottom(std::max(top, std::min(needed.bottom, extent.bottom))), at(at),
          channels(channels), slots((needed.width() + at - 1) / at + 2 * LANES),
          value((bottom - top) * at * channels * slots), covered(bottom - top) {
        const int64_t left = std::max(needed.left, extent.left), right = std::min(needed.right, extent.right);
        const int64_t plane = extent.height() * extent.width();
        for (int64_t row = top; row < bottom; ++row) {
            const float* from = rgba + (row - extent.top) * extent.width() - extent.left;
            int64_t first = left, last = right;
            if (channels > 3) {  // where nothing is covered there is no light
                while (first < last && from[3 * plane + first] == 0) ++first;
                while (first < last && from[3 * plane + last - 1] == 0) --last;
            }
            covered[row - top] = {(first - needed.left) / at, (last - needed.left + at - 1) / at};
            if (first >= last) covered[row - top] = {0, 0};
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t phase = 0; phase < at; ++phase) {
                    float* to = value.data() + (((row - top) * at + phase) * channels + c) * slots;
                    const int64_t start = first + (phase - (first - needed.left) % at + at) % at;
                    int64_t slot = (start - needed.left) / at;
                    for (int64_t x = start; x < last; x += at) to[slot++] = from[c * plane + x];
                }
        }
    }
};

constexpr int VECTORS = 2;  // at once: two of three channels fill the pipeline
constexpr int BLOCK = VECTORS * LANES;

inline Vec clamped(Vec value) {
    value = select(value < 0.0f, Vec{}, value);
    return select(value > 1.0f, all(1), value);
}

constexpr float HIDDEN = 4e-6f;  // light that passes what is before it: a blurred opaque layer's rounding

// One row of the result.
template <int CHANNELS>
struct Gather {
    const Picture& picture;
    const std::vector<KernelPair>& pairs;
    int64_t lowest;

    // BLOCK pixels from `column` on; row: of the layer, at the result's pixel. radii: `count` of them.
    void at(int64_t row, int64_t column, const float* radii, int64_t count, Vec sum[VECTORS][CHANNELS]) const {
        Vec radius[VECTORS];
        int64_t least = pairs.size() - 1, most = 0;
        for (int i = 0; i < count; ++i) {
            const int64_t step = std::min<int64_t>(int64_t(radii[i]) - lowest, pairs.size() - 1);
            least = std::min(least, step), most = std::max(most, step);
        }
        for (int i = 0; i < VECTORS; ++i)
            radius[i] = load(radii + i * LANES, std::clamp<int64_t>(count - i * LANES, 0, LANES)) - float(lowest);
        for (int64_t step = least; step <= most; ++step) {
            Vec low[VECTORS], high[VECTORS];
            const float end = step + 1 < int64_t(pairs.size()) ? 1 : 2;  // the last pair has its own end too
            for (int i = 0; i < VECTORS; ++i) {
                const Vec share = radius[i] - float(step);
                const Bits here = (share >= 0.0f) & (share < end);
                low[i] = select(here, 1.0f - share, Vec{}), high[i] = select(here, share, Vec{});
            }
            add(pairs[step], row, column, low, high, sum);
        }
    }

  private:
    void add(const KernelPair& pair, int64_t row, int64_t column, const Vec low[VECTORS], const Vec high[VECTORS],
             Vec total[VECTORS][CHANNELS]) const {
        Vec sum[VECTORS][CHANNELS];
        for (int i = 0; i < VECTORS; ++i)
            for (int c = 0; c < CHANNELS; ++c) sum[i][c] = total[i][c];
        for (const Run& run : pair.runs) {
            const int64_t y = row + run.row - picture.top;
            if (y < 0 || y >= picture.bottom - picture.top) continue;
            const int64_t slot = column + run.slot;
            if (slot >= picture.covered[y].second || slot + run.count + BLOCK - 1 <= picture.covered[y].first) continue;
            const float* from = picture.value.data() + (y * picture.at + run.phase) * CHANNELS * picture.slots + slot;
            const float* weights = pair.pairs.data() + 2 * run.first;
            for (int64_t tap = 0; tap < run.count; ++tap, ++from, weights += 2)
                for (int i = 0; i < VECTORS; ++i) {
                    const Vec weight = weights[0] * low[i] + weights[1] * high[i];
                    for (int c = 0; c < CHANNELS; ++c)
                        sum[i][c] += weight * load(from + c * picture.slots + i * LANES);
                }
        }
        for (int i = 0; i < VECTORS; ++i)
            for (int c = 0; c < CHANNELS; ++c) total[i][c] = sum[i][c];
    }
};

// `frame` in pixels of `at` master pixels: light (3, h, w), and the share of what is behind that passes (h, w).
struct Shot {
    Box frame;
    int64_t at;
    float *light, *passing;
};

// Adds a layer behind those before it, and takes what it covers away from what passes. seen: the part of the frame that it
// reaches, with radii (h, w).
template <int CHANNELS>
void under(const Shot& shot, const float* rgba, const Box& extent, const Box& seen, const float* radii,
           const std::vector<Kernel>& kernels, int64_t lowest) {
    const int64_t at = shot.at, width = shot.frame.width() / at, plane = shot.frame.height() / at * width;
    int64_t margin = 0;
    for (const Kernel& kernel : kernels) margin = std::max(margin, (kernel.reach + at - 1) / at * at);
    std::vector<KernelPair> pairs;
    for (size_t i = 0; i + 1 < std::max<size_t>(kernels.size(), 2); ++i)
        pairs.emplace_back(kernels[i], kernels[std::min(i + 1, kernels.size() - 1)], at, margin);
    const Box needed = seen.grown(margin);
    const Picture picture(rgba, extent, {needed.top, needed.left, needed.bottom + at, needed.right + at}, at, CHANNELS);
    const Gather<CHANNELS> gather{picture, pairs, lowest};
    const int64_t columns = seen.width() / at;
    for (int64_t row = seen.top; row < seen.bottom; row += at, radii += columns)
        for (int64_t column = 0; column < columns; column += BLOCK) {
            const int64_t first = (row - shot.frame.top) / at * width + (seen.left - shot.frame.left) / at + column;
            const int64_t count = std::min<int64_t>(BLOCK, columns - column);
            if (*std::max_element(shot.passing + first, shot.passing + first + count) <= HIDDEN) continue;
            Vec sum[VECTORS][CHANNELS] = {};
            gather.at(row, column, radii + column, count, sum);
            for (int i = 0; i < VECTORS && i * LANES < count; ++i) {
                const int64_t n = count - i * LANES;
                float *to = shot.light + first + i * LANES, *passing = shot.passing + first + i * LANES;
                const Vec passed = load(passing, n);
                for (int c = 0; c < 3; ++c) store(to + c * plane, load(to + c * plane, n) + passed * sum[i][c], n);
                Vec rest = {};
                if (CHANNELS > 3) rest = 1.0f - clamped(sum[i][CHANNELS - 1]);
                store(passing, passed * rest, n);
            }
        }
}
