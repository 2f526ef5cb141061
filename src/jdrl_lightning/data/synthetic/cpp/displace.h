// The sharp shot: each layer of a scene seen from where the displacement puts it. displace.py has the same in torch.
#pragma once

#include <vector>

#include "catmull_rom.h"
#include "displacement.h"

constexpr int SCALE = 2;  // master pixels a frame pixel
constexpr int GRID = 4;   // frame pixels between points at which the displacement is inverted: bilinear in between

struct Drawn {
    Displacement displacement;
    Table table;
};

// Largest displacement over the frame and the margin around it.
inline float reach_of(const Displacement& displacement, const Box& scene) {
    Vec most = {};
    for (int64_t top = scene.top; top < scene.bottom; top += 8 * SCALE)
        for (int64_t left = scene.left; left < scene.right; left += 8 * SCALE * LANES) {
            Vec x;
            for (int i = 0; i < LANES; ++i)
                x[i] = (float(std::min(left + 8 * SCALE * i, scene.right - 1)) + 0.5f) / SCALE;
            const Vec2 moved = displacement.forward(x, all((float(top) + 0.5f) / SCALE));
            most = larger(most, larger(absolute_of(moved.x), absolute_of(moved.y)));
        }
    return largest(most);
}

// Points of a coarse grid, the first and the last on the first and the last pixel, between which each pixel lies.
struct CoarseAxis {
    struct Between {
        int32_t near, far;
        float share;
    };

    int64_t points;
    float first, step;
    std::vector<Between> of;  // each pixel

    CoarseAxis(int64_t start, int64_t end)
        : points(std::max<int64_t>(2, (end - start) / GRID + 1)), first(float(start) + 0.5f),
          step(float(end - start - 1) / float(points - 1)) {
        const float scale = end - start > 1 ? float(points - 1) / float(end - start - 1) : 0.0f;
        for (int64_t i = 0; i < end - start; ++i) {
            const int64_t near = std::min(int64_t(scale * float(i)), points - 1);
            of.push_back({int32_t(near), int32_t(std::min(near + 1, points - 1)), scale * float(i) - float(near)});
        }
    }

    float at(int64_t point) const { return first + step * float(point); }
};

// The inverse displacement, master pixels, at the pixels of a part of the frame, a row at a time.
struct Pull {
    CoarseAxis down, across;
    int64_t stride;
    std::vector<float> coarse[2], between, row[2];  // x and y: of the grid; of points across and of all pixels of a row

    Pull(const Displacement& displacement, const Box& seen, const Box& frame)
        : down(seen.top, seen.bottom), across(seen.left, seen.right), stride(across.points + LANES), between(stride) {
        for (int axis = 0; axis < 2; ++axis) coarse[axis].resize(down.points * stride), row[axis].resize(seen.width());
        for (int64_t i = 0; i < down.points; ++i)
            for (int64_t j = 0; j < across.points; j += LANES) {
                Vec place;
                for (int k = 0; k < LANES; ++k) place[k] = across.at(std::min(j + k, across.points - 1));
                const Vec2 pull = displacement.inverse(place + float(frame.left) / SCALE,
                                                       all(down.at(i) + float(frame.top) / SCALE));
                store(coarse[0].data() + i * stride + j, pull.x * float(SCALE));
                store(coarse[1].data() + i * stride + j, pull.y * float(SCALE));
            }
    }

    void fill(int64_t y) {
        const auto [above, below, share] = down.of[y];
        for (int axis = 0; axis < 2; ++axis) {
            const float *near = coarse[axis].data() + above * stride, *far = coarse[axis].data() + below * stride;
            for (int64_t i = 0; i < across.points; ++i) between[i] = (1 - share) * near[i] + share * far[i];
            for (size_t x = 0; x < row[axis].size(); ++x) {
                const CoarseAxis::Between& at = across.of[x];
                row[axis][x] = (1 - at.share) * between[at.near] + at.share * between[at.far];
            }
        }
    }
};

struct SharpShot {
    Box frame;
    int64_t height, width;
    float edge;                    // coverage at which a pixel of the frame counts as mixed
    std::vector<Four> light;       // (height, width), the last unused
    std::vector<uint8_t> mixed;    // (height, width)
    std::vector<Drawn> drawn;

    SharpShot(const Box& frame, float edge)
        : frame(frame), height(frame.height() / SCALE), width(frame.width() / SCALE), edge(edge),
          light(height * width), mixed(height * width) {}

    // Blends the average over each pixel.
    void add(const float* rgba, const Box& extent, int64_t margin, const Displacement& displacement) {
        const int64_t reach = int64_t(std::ceil((reach_of(displacement, frame.grown(margin)) + 1) * SCALE)) + 2;
        const Box part = extent.grown(reach).common(frame);
        if (part.empty()) return;
        const Box seen = {(part.top - frame.top) / SCALE, (part.left - frame.left) / SCALE,
                          (part.bottom - frame.top + SCALE - 1) / SCALE, (part.right - frame.left + SCALE - 1) / SCALE};
        // Around the layer there is nothing, as far as the cubic reaches.
        const Table table = {rgba, extent, extent.grown(3).common(frame.grown(std::min(reach + 3, margin)))};
        Pull pull(displacement, seen, frame);
        for (int64_t row = seen.top; row < seen.bottom; ++row) {
            pull.fill(row - seen.top);
            const float down = float(row * SCALE + frame.top - table.known.top);
            for (int64_t column = seen.left; column < seen.right; ++column) {
                const float across = float(column * SCALE + frame.left - table.known.left);
                const Four near = table.at<SCALE>(across + pull.row[0][column - seen.left],
                                                  down + pull.row[1][column - seen.left]);
                const int64_t pixel = row * width + column;
                light[pixel] = over(near, light[pixel]);
                mixed[pixel] |= near[3] > edge && near[3] < 1 - edge;
            }
        }
        drawn.push_back({displacement, table});
    }

    // Mixed pixels, and those that the cubic mixes, are blended at each of the master's pixels in them, then averaged.
    void refine() {
        const std::vector<int64_t> chosen = around_mixed();
        constexpr int WITHIN = SCALE * SCALE, AT_ONCE = LANES / WITHIN;
        for (int64_t first = 0; first < int64_t(chosen.size()); first += AT_ONCE) {
            float across[LANES], down[LANES];
            Four fine[LANES] = {};
            Vec x, y;
            for (int i = 0; i < LANES; ++i) {
                const int64_t pixel = chosen[std::min<int64_t>(first + i / WITHIN, chosen.size() - 1)];
                across[i] = float(frame.left + pixel % width * SCALE + i % SCALE);
                down[i] = float(frame.top + pixel / width * SCALE + i % WITHIN / SCALE);
                x[i] = (across[i] + 0.5f) / SCALE, y[i] = (down[i] + 0.5f) / SCALE;
            }
            for (const Drawn& layer : drawn) {
                const Vec2 pull = layer.displacement.inverse(x, y);
                for (int i = 0; i < LANES; ++i) {
                    const Four near = layer.table.at<1>(across[i] + SCALE * pull.x[i] - float(layer.table.known.left),
                                                        down[i] + SCALE * pull.y[i] - float(layer.table.known.top));
                    fine[i] = over(near, fine[i]);
                }
            }
            for (int i = 0; i < AT_ONCE && first + i < int64_t(chosen.size()); ++i) {
                Four sum = {};
                for (int j = 0; j < WITHIN; ++j) sum += fine[i * WITHIN + j];
                light[chosen[first + i]] = sum / float(WITHIN);
            }
        }
    }

  private:
    // Mixed pixels and their neighbours, in order.
    std::vector<int64_t> around_mixed() const {
        std::vector<uint8_t> around(mixed.size());
        for (int64_t row = 0; row < height; ++row)
            for (int64_t column = 0; column < width; ++column) {
                if (!mixed[row * width + column]) continue;
                for (int64_t y = std::max<int64_t>(0, row - 1); y < std::min(height, row + 2); ++y)
                    for (int64_t x = std::max<int64_t>(0, column - 1); x < std::min(width, column + 2); ++x)
                        around[y * width + x] = 1;
            }
        std::vector<int64_t> pixels;
        for (int64_t pixel = 0; pixel < height * width; ++pixel)
            if (around[pixel]) pixels.push_back(pixel);
        return pixels;
    }
};
