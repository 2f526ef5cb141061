// The reblurring operator (Eq. 7-9) on CPUs: one pass over the pixels forward, one backward; the latter recomputes the
// blur kernels. Called by cpu_kernel.py. All tensors are contiguous float32; padded has `levels - 1` more pixels on each
// side; the maps have a value for each stride × stride pixels.

#include <atomic>
#include <system_error>
#include <thread>

#include "blur_kernels.h"
#include "map_grid.h"
#include "orbits.h"
#include "shifted_sums.h"
#include "simd.h"

namespace {

struct Shape {
    int64_t batch, channels, height, width, levels;

    int64_t plane() const { return height * width; }
    int64_t n_seeds() const { return levels * (levels + 1) / 2 - 1; }
    int64_t padded_width() const { return width + 2 * (levels - 1); }
    int64_t padded_plane() const { return padded_width() * (height + 2 * (levels - 1)); }
};

// Runs all tasks; each thread makes a worker of its own and calls it with one task after another. No OpenMP: a second
// runtime next to torch's would ignore torch's number of threads.
template <class MakeWorker>
void in_parallel(int64_t tasks, int64_t threads, MakeWorker make_worker) {
    std::atomic<int64_t> next{0};
    auto run = [&] {
        auto work = make_worker();
        for (int64_t task; (task = next++) < tasks;) work(task);
    };
    std::vector<std::thread> others;
    try {
        while (int64_t(others.size()) + 1 < std::min(threads, tasks)) others.emplace_back(run);
    } catch (const std::system_error&) {  // no more threads available: the existing ones do all the work
    }
    run();
    for (auto& other : others) other.join();
}

// Calls work(y, left, columns) for the rows [top, top + rows), at most COLUMNS at a time; row by row, or the same columns
// of all rows first, so that rows of coarse maps are enlarged once for several rows.
template <class Work>
void each_stretch(const Shape& shape, int64_t top, int64_t rows, bool coarse, Work work) {
    const int64_t across = coarse ? COLUMNS : shape.width;
    for (int64_t first = 0; first < shape.width; first += across)
        for (int64_t y = top; y < std::min(top + rows, shape.height); ++y)
            for (int64_t left = first; left < std::min(first + across, shape.width); left += COLUMNS)
                work(y, left, std::min<int64_t>(COLUMNS, shape.width - left));
}

}  // namespace

extern "C" void jdrl_reblur_forward(const float* padded, const float* seeds, const float* weights, float* out,
                                    int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t levels,
                                    int64_t square, int64_t absolute, int64_t stride, int64_t threads) {
    const Shape shape{batch, channels, height, width, levels};
    const MapGrid grid(height, width, stride);
    const Orbits orbits(levels, square, absolute);
    const int64_t plane = shape.plane(), rows = 16, strips = (height + rows - 1) / rows;
    in_parallel(batch * strips, threads, [&] {
        return [&, folded = Folded(orbits, channels), kernels = BlurKernels(orbits),
                seed_maps = MapReader(grid, seeds, shape.n_seeds()),
                weight_maps = MapReader(grid, weights, levels)](int64_t task) mutable {
            const int64_t image = task / strips;
            each_stretch(shape, task % strips * rows, rows, stride > 1, [&](int64_t y, int64_t left, int64_t columns) {
                const int64_t row = (y + orbits.reach) * shape.padded_width() + left;
                folded.fill(padded + image * channels * shape.padded_plane() + row, shape.padded_width(),
                            shape.padded_plane(), channels, columns);
                seed_maps.start(image, y, left, columns);
                weight_maps.start(image, y, left, columns);
                for (int64_t x = 0; x < columns; x += LANES) {
                    const int64_t pixel = y * width + left + x, n = columns - x;
                    kernels.compute(seed_maps.at(x), weight_maps.at(x), seed_maps.plane(), n);
                    for (int64_t c = 0; c < channels; ++c) {
                        Vec sum = {};
                        for (int i = 0; i < orbits.size(); ++i)
                            sum += kernels.mixture[i] * folded.over(orbits.all[i], c, x);
                        store(out + (image * channels + c) * plane + pixel, sum, n);
                    }
                }
            });
        };
    });
}

// Adds to grad_padded, and with stride > 1 to grad_seeds and grad_weights, all of which start at zero. Null: grad_padded, or
// grad_seeds and grad_weights, are not computed.
extern "C" void jdrl_reblur_backward(const float* grad_out, const float* padded, const float* seeds,
                                     const float* weights, float* grad_padded, float* grad_seeds, float* grad_weights,
                                     int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t levels,
                                     int64_t square, int64_t absolute, int64_t stride, int64_t threads) {
    const Shape shape{batch, channels, height, width, levels};
    const MapGrid grid(height, width, stride);
    const Orbits orbits(levels, square, absolute);
    const int64_t plane = shape.plane(), rows = std::max<int64_t>({16, 2 * orbits.reach, 2 * stride});
    const int64_t strips = (height + rows - 1) / rows;
    // A strip adds to its neighbours' rows of the image and of coarse maps too: even strips first, then odd ones, so that
    // no two threads write to the same row and the result does not depend on their number.
    for (int64_t odd = 0; odd < 2; ++odd) {
        const int64_t here = (strips + 1 - odd) / 2;
        in_parallel(batch * here, threads, [&] {
            return [&, folded = Folded(orbits, channels), kernels = BlurKernels(orbits), scatter = Scatter(orbits),
                    seed_maps = MapReader(grid, seeds, shape.n_seeds()), weight_maps = MapReader(grid, weights, levels),
                    seed_grads = MapGradients(grid, grad_seeds, shape.n_seeds()),
                    weight_grads = MapGradients(grid, grad_weights, levels),
                    grad_mixture = std::vector<Vec>(orbits.size())](int64_t task) mutable {
                const int64_t image = task / here, top = (task % here * 2 + odd) * rows;
                const float* grad = grad_out + image * channels * plane;
                each_stretch(shape, top, rows, stride > 1, [&](int64_t y, int64_t left, int64_t columns) {
                    const int64_t row = image * channels * shape.padded_plane() +
                                        (y + orbits.reach) * shape.padded_width() + left;
                    seed_maps.start(image, y, left, columns);
                    weight_maps.start(image, y, left, columns);
                    if (grad_seeds) {
                        folded.fill(padded + row, shape.padded_width(), shape.padded_plane(), channels, columns);
                        seed_grads.start(image, y, left, columns);
                        weight_grads.start(image, y, left, columns);
                    }
                    for (int64_t x = 0; x < columns; x += LANES) {
                        const int64_t pixel = y * width + left + x, n = columns - x;
                        const float *seed = seed_maps.at(x), *weight = weight_maps.at(x);
                        kernels.compute(seed, weight, seed_maps.plane(), n);
                        for (int i = 0; grad_padded && i < orbits.size(); ++i)
                            store(scatter.mixture.data() + i * COLUMNS + x, kernels.mixture[i]);
                        if (!grad_seeds) continue;
                        for (int i = 0; i < orbits.size(); ++i) {
                            Vec sum = {};
                            for (int64_t c = 0; c < channels; ++c)
                                sum += load(grad + c * plane + pixel, n) * folded.over(orbits.all[i], c, x);
                            grad_mixture[i] = sum;
                        }
                        kernels.gradients(grad_mixture.data(), seed, weight, seed_grads.at(x), weight_grads.at(x),
                                          seed_maps.plane(), n);
                        seed_grads.add(x);
                        weight_grads.add(x);
                    }
                    for (int64_t c = 0; grad_padded && c < channels; ++c)
                        scatter.add(grad + c * plane + y * width + left, grad_padded + row + c * shape.padded_plane(),
                                   shape.padded_width(), columns);
                });
                seed_grads.finish();
                weight_grads.finish();
            };
        });
    }
}
