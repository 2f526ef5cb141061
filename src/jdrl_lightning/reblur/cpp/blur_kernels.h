// The blur kernels at LANES pixels: the softmax of every level (Eq. 7), their weighted sum, and the gradients of both.
#pragma once

#include <limits>

#include "orbits.h"
#include "simd.h"

struct BlurKernels {
    const Orbits& orbits;
    std::vector<Vec> exps, corner, inverse;  // [level][orbit], [level], [level]: unnormalised, 1 / their sum
    std::vector<Vec> mixture;                // [orbit]: weight of one element, summed over the levels
    std::vector<Vec> logits, rises;

    explicit BlurKernels(const Orbits& orbits)
        : orbits(orbits), exps((orbits.levels + 1) * orbits.size()), corner(orbits.levels + 1),
          inverse(orbits.levels + 1), mixture(orbits.size()), logits(orbits.levels), rises(orbits.levels) {}

    // seeds, weights: first channel of the block's first pixel; the block has n pixels inside the image.
    void compute(const float* seeds, const float* weights, int64_t plane, int64_t n) {
        std::fill(mixture.begin(), mixture.end(), Vec{});
        mixture[0] = load(weights, n);
        for (int level = 2; level <= orbits.levels; ++level) {
            Vec top = all(orbits.square ? 0 : -std::numeric_limits<float>::infinity());  // 0: the corners' logit
            for (int k = 0; k < level; ++k, seeds += plane) {
                const Vec seed = load(seeds, n);
                logits[k] = (orbits.absolute ? absolute_of(seed) : seed) * 1.44269504f;  // log2 e
                top = select(logits[k] > top, logits[k], top);
            }
            for (int k = 0; k < level; ++k) logits[k] -= top;
            for (int k = 0; k + 1 < level; ++k) rises[k] = logits[k + 1] - logits[k];
            rises[level - 1] = Vec{};
            corner[level] = orbits.square ? exp2_of(-top) : Vec{};
            Vec total = orbits.n_corners[level] * corner[level];
            Vec* e = exps.data() + level * orbits.size();
            for (int i = 0; i < orbits.inside[level]; ++i) {
                const Orbit& orbit = orbits.all[i];
                e[i] = exp2_of(logits[orbit.below] + orbit.fraction * rises[orbit.below]);
                total += orbit.count * e[i];
            }
            inverse[level] = 1.0f / total;
            const Vec scale = load(weights + (level - 1) * plane, n) * inverse[level];
            for (int i = 0; i < orbits.inside[level]; ++i) mixture[i] += scale * e[i];
            for (int i : orbits.corners[level]) mixture[i] += scale * corner[level];
        }
    }

    // From the gradient of each orbit's weight to those of the seeds and of the weight maps. Needs compute() first.
    void gradients(const Vec* grad_mixture, const float* seeds, const float* weights, float* grad_seeds,
                   float* grad_weights, int64_t plane, int64_t n) {
        store(grad_weights, grad_mixture[0], n);
        for (int level = 2; level <= orbits.levels; ++level) {
            const Vec* e = exps.data() + level * orbits.size();
            Vec within = {}, beyond = {};
            for (int i = 0; i < orbits.inside[level]; ++i) within += e[i] * grad_mixture[i];
            for (int i : orbits.corners[level]) beyond += grad_mixture[i];
            const Vec blurred = (within + corner[level] * beyond) * inverse[level];
            const int64_t map = (level - 1) * plane;
            store(grad_weights + map, blurred, n);
            const Vec scale = load(weights + map, n) * inverse[level];
            Vec from_nearer = {};
            for (int k = 0; k < level; ++k, seeds += plane, grad_seeds += plane) {
                Vec whole = {}, further = {};
                for (int i = orbits.start[k]; i < orbits.end(k, level); ++i) {
                    // softmax: each element of the orbit lowers the mean
                    const Vec grad = scale * e[i] * (grad_mixture[i] - orbits.all[i].count * blurred);
                    whole += grad;
                    further += orbits.all[i].fraction * grad;
                }
                Vec grad = from_nearer + whole - further;
                from_nearer = further;
                if (orbits.absolute) {
                    const Vec seed = load(seeds, n), zero = {};
                    grad = select(seed < zero, -grad, select(seed == zero, zero, grad));
                }
                store(grad_seeds, grad, n);
            }
        }
    }
};
