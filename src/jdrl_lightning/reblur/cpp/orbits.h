// Kernel elements that flips and the transpose map onto one another, (±a, ±b) and (±b, ±a): they share one weight.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

struct Orbit {
    int a, b;   // 0 <= b <= a
    int below;  // integer part of the radius; fraction is the rest
    float fraction, count;

    int squared() const { return a * a + b * b; }
};

struct Orbits {
    int levels, reach;
    bool square, absolute;
    std::vector<Orbit> all;                 // those that have a weight, by ascending radius
    std::vector<int> start;                 // [k]: the first one whose radius is k or more
    std::vector<int> inside;                // [level]: how many of them lie within radius level - 1
    std::vector<std::vector<int>> corners;  // [level]: those in the level's square but beyond its radius
    std::vector<float> n_corners;           // [level]: number of elements in these
    std::vector<std::vector<int>> at;       // [dy][dx]: the orbit of the element

    Orbits(int levels, bool square, bool absolute)
        : levels(levels), reach(levels - 1), square(square), absolute(absolute), start(levels), inside(levels + 1),
          corners(levels + 1), n_corners(levels + 1), at(levels) {
        for (int a = 0; a < levels; ++a)
            for (int b = 0; b <= a && has_weight(a, b); ++b) {
                const double radius = std::sqrt(double(a * a + b * b));
                const int below = int(radius);
                const float count = a == 0 ? 1 : (b == 0 || a == b) ? 4 : 8;
                all.push_back({a, b, below, float(radius - below), count});
            }
        std::stable_sort(all.begin(), all.end(), [](const Orbit& one, const Orbit& other) {
            return one.squared() < other.squared();
        });
        for (int i = 0; i < size(); ++i) {
            const Orbit& orbit = all[i];
            for (int k = 0; k < levels; ++k) start[k] += orbit.squared() < k * k;
            for (int level = std::max(2, orbit.a + 1); level <= levels; ++level) {
                if (orbit.squared() <= (level - 1) * (level - 1)) {
                    inside[level] += 1;
                } else if (square) {
                    corners[level].push_back(i);
                    n_corners[level] += orbit.count;
                }
            }
        }
        for (int dy = 0; dy < levels; ++dy)
            for (int dx = 0; dx < levels && has_weight(dx, dy); ++dx)
                for (int i = 0; i < size(); ++i)
                    if (all[i].a == std::max(dx, dy) && all[i].b == std::min(dx, dy)) at[dy].push_back(i);
    }

    bool has_weight(int a, int b) const { return square || a * a + b * b <= reach * reach; }
    int size() const { return int(all.size()); }

    // The orbits of a level whose radii lie in [k, k + 1): start[k] … end(k, level) - 1.
    int end(int k, int level) const { return k + 1 < level ? start[k + 1] : inside[level]; }
};
