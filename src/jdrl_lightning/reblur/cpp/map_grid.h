// Maps that have a value for each stride × stride pixels, enlarged bilinearly (align_corners=False) a few pixels at a
// time, and the adjoint for their gradients. With stride 1 they are read and written where they are.
#pragma once

#include <algorithm>
#include <vector>

#include "simd.h"

constexpr int COLUMNS = 7 * LANES;  // of a stretch: so many at once that their data stays in the L1 and L2 caches

// A row or column of the image lies between two of the maps: (1 - share) · near + share · far.
struct Between {
    int64_t near, far;
    float share;
};

struct MapGrid {
    int64_t stride, height, width;      // of the maps
    std::vector<Between> down, across;  // for each row and column of the image

    MapGrid(int64_t image_height, int64_t image_width, int64_t stride)
        : stride(stride), height((image_height + stride - 1) / stride), width((image_width + stride - 1) / stride) {
        if (stride == 1) return;
        for (int64_t y = 0; y < image_height; ++y) down.push_back(between(y, height));
        for (int64_t x = 0; x < image_width; ++x) across.push_back(between(x, width));
    }

    int64_t plane() const { return height * width; }

  private:
    Between between(int64_t pixel, int64_t size) const {
        const int64_t place = std::max<int64_t>(0, 2 * pixel + 1 - stride), near = place / (2 * stride);
        return {near, std::min(near + 1, size - 1), float(place % (2 * stride)) / float(2 * stride)};
    }
};

// The channels of one tensor of maps in one stretch after another. Enlarged across, two rows of the maps are held, for
// all rows of the image between them; enlarged down too, only LANES pixels.
struct MapStretch {
    const MapGrid& grid;
    int64_t channels, image = -1, left = -1, columns = 0, held[2] = {-1, -1};
    Between between = {};
    std::vector<float> rows;   // [map row % 2][channel][column]
    std::vector<float> block;  // [channel][lane]

    MapStretch(const MapGrid& grid, int64_t channels)
        : grid(grid), channels(channels), rows(grid.stride == 1 ? 0 : 2 * channels * COLUMNS),
          block(grid.stride == 1 ? 0 : channels * LANES) {}

    // Distance between the channels of what at() returns.
    int64_t plane() const { return grid.stride == 1 ? grid.plane() : LANES; }

    int64_t offset(int64_t y, int64_t x) const { return image * channels * grid.plane() + y * grid.width + x; }
    float* row(int64_t y) { return rows.data() + y % 2 * channels * COLUMNS; }
};

struct MapReader : MapStretch {
    const float *maps, *pixel = nullptr;

    MapReader(const MapGrid& grid, const float* maps, int64_t channels) : MapStretch(grid, channels), maps(maps) {}

    void start(int64_t new_image, int64_t y, int64_t new_left, int64_t new_columns) {
        if (grid.stride > 1 && (image != new_image || left != new_left)) held[0] = held[1] = -1;
        image = new_image, left = new_left, columns = new_columns;
        if (grid.stride == 1) {
            pixel = maps + offset(y, left);
            return;
        }
        between = grid.down[y];
        for (int64_t needed : {between.near, between.far})
            if (held[needed % 2] != needed) fill(needed);
    }

    // First channel of LANES pixels from column x of the stretch on, valid until the next call.
    const float* at(int64_t x) {
        if (grid.stride == 1) return pixel + x;
        const float *near = row(between.near) + x, *far = row(between.far) + x;
        for (int64_t c = 0; c < channels; ++c, near += COLUMNS, far += COLUMNS)
            store(block.data() + c * LANES, (1 - between.share) * load(near) + between.share * load(far));
        return block.data();
    }

  private:
    void fill(int64_t y) {
        const Between* across = grid.across.data() + left;
        const float* from = maps + offset(y, 0);
        float* to = row(y);
        for (int64_t c = 0; c < channels; ++c, from += grid.plane(), to += COLUMNS)
            for (int64_t x = 0; x < columns; ++x)
                to[x] = (1 - across[x].share) * from[across[x].near] + across[x].share * from[across[x].far];
        held[y % 2] = y;
    }
};

// With stride > 1 the gradients must start at zero: stretches that share a row or column of the maps add to it.
struct MapGradients : MapStretch {
    float *grads, *pixel = nullptr;

    MapGradients(const MapGrid& grid, float* grads, int64_t channels) : MapStretch(grid, channels), grads(grads) {}

    void start(int64_t new_image, int64_t y, int64_t new_left, int64_t new_columns) {
        if (grid.stride > 1 && (image != new_image || left != new_left)) finish();
        image = new_image, left = new_left, columns = new_columns;
        if (grid.stride == 1) {
            pixel = grads + offset(y, left);
            return;
        }
        between = grid.down[y];
        for (int64_t needed : {between.near, between.far})
            if (held[needed % 2] != needed) {
                flush(held[needed % 2]);
                std::fill_n(row(needed), channels * COLUMNS, 0.0f);
                held[needed % 2] = needed;
            }
    }

    // Where to write the gradients of LANES pixels from column x of the stretch on; add(x) follows.
    float* at(int64_t x) { return grid.stride == 1 ? pixel + x : block.data(); }

    void add(int64_t x) {
        if (grid.stride == 1) return;
        float *near = row(between.near) + x, *far = row(between.far) + x;
        for (int64_t c = 0; c < channels; ++c, near += COLUMNS, far += COLUMNS) {
            const Vec grad = load(block.data() + c * LANES);
            store(near, load(near) + (1 - between.share) * grad);
            store(far, load(far) + between.share * grad);
        }
    }

    // After the last row of a stretch.
    void finish() {
        for (int64_t& y : held) {
            flush(y);
            y = -1;
        }
    }

  private:
    void flush(int64_t y) {
        if (y < 0) return;
        const Between* across = grid.across.data() + left;
        const float* from = row(y);
        float* to = grads + offset(y, 0);
        for (int64_t c = 0; c < channels; ++c, from += COLUMNS, to += grid.plane())
            for (int64_t x = 0; x < columns;) {
                const auto [near, far, _] = across[x];
                float for_near = 0, for_far = 0;
                for (; x < columns && across[x].near == near; ++x) {
                    for_near += (1 - across[x].share) * from[x];
                    for_far += across[x].share * from[x];
                }
                to[near] += for_near;
                to[far] += for_far;
            }
    }
};
