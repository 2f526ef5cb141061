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
    int64_t points;
    float first, step, scale;

    CoarseAxis(int64_t start, int64_t end)
        : points(std::max<int64_t>(2, (end - start) / GRID + 1)), first(float(start) + 0.5f),
          step(float(end - start - 1) / float(points - 1)),
          scale(end - start > 1 ? float(points - 1) / float(end - start - 1) : 0.0f) {}

    float at(int64_t point) const { return first + step * float(point); }
};

// The inverse displacement, master pixels, at the pixels of a part of the frame, a row at a time.
struct Pull {
    CoarseAxis down, across;
    int64_t stride;
    std::vector<float> x, y, row_x, row_y;

    Pull(const Displacement& displacement, const Box& seen, const Box& frame)
        : down(seen.top, seen.bottom), across(seen.left, seen.right), stride(across.points + LANES),
          x(down.points * stride), y(x.size()), row_x(stride), row_y(stride) {
        for (int64_t i = 0; i < down.points; ++i)
            for (int64_t j = 0; j < across.points; j += LANES) {
                Vec place;
                for (int k = 0; k < LANES; ++k) place[k] = across.at(std::min(j + k, across.points - 1));
                const Vec2 pull = displacement.inverse(place + float(frame.left) / SCALE,
                                                       all(down.at(i) + float(frame.top) / SCALE));
                store(x.data() + i * stride + j, pull.x * float(SCALE));
                store(y.data() + i * stride + j, pull.y * float(SCALE));
            }
    }

    void start(int64_t row) {
        const float place = down.scale * float(row);
        const int64_t above = std::min(int64_t(place), down.points - 1), below = std::min(above + 1, down.points - 1);
        const float share = place - float(above);
        for (int64_t j = 0; j < across.points; ++j) {
            row_x[j] = (1 - share) * x[above * stride + j] + share * x[below * stride + j];
            row_y[j] = (1 - share) * y[above * stride + j] + share * y[below * stride + j];
        }
    }

    void at(int64_t column, float& to_x, float& to_y) const {
        const float place = across.scale * float(column);
        const int64_t left = std::min(int64_t(place), across.points - 1), right = std::min(left + 1, across.points - 1);
        const float share = place - float(left);
        to_x = (1 - share) * row_x[left] + share * row_x[right];
        to_y = (1 - share) * row_y[left] + share * row_y[right];
    }
};

struct SharpShot {
    Box frame;
    int64_t height, width;
    float edge;                    // coverage at which a pixel of the frame counts as mixed
    std::vector<float> light;      // (height, width, 3)
    std::vector<uint8_t> mixed;    // (height, width)
    std::vector<Drawn> drawn;

    SharpShot(const Box& frame, float edge)
        : frame(frame), height(frame.height() / SCALE), width(frame.width() / SCALE), edge(edge),
          light(height * width * 3), mixed(height * width) {}

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
            pull.start(row - seen.top);
            for (int64_t column = seen.left; column < seen.right; ++column) {
                float x, y;
                pull.at(column - seen.left, x, y);
                const Rgba near = table.at<SCALE>(float(column * SCALE + frame.left - table.known.left) + x,
                                                  float(row * SCALE + frame.top - table.known.top) + y);
                const int64_t pixel = row * width + column;
                near.over(light.data() + 3 * pixel);
                mixed[pixel] |= near.coverage() > edge && near.coverage() < 1 - edge;
            }
        }
        drawn.push_back({displacement, table});
    }

    // Mixed pixels, and those that the cubic mixes, are blended at each of the master's pixels in them, then averaged.
    void refine() {
        std::vector<int64_t> chosen;
        for (int64_t row = 0; row < height; ++row)
            for (int64_t column = 0; column < width; ++column)
                if (mixed_around(row, column)) chosen.push_back(row * width + column);
        constexpr int WITHIN = SCALE * SCALE, AT_ONCE = LANES / WITHIN;
        for (int64_t first = 0; first < int64_t(chosen.size()); first += AT_ONCE) {
            float across[LANES], down[LANES], fine[LANES][3] = {};
            Vec x, y;
            for (int i = 0; i < LANES; ++i) {
                const int64_t pixel = chosen[std::min<int64_t>(first + i / WITHIN, chosen.size() - 1)];
                across[i] = float(frame.left + pixel % width * SCALE + i % SCALE);
                down[i] = float(frame.top + pixel / width * SCALE + i % WITHIN / SCALE);
                x[i] = (across[i] + 0.5f) / SCALE, y[i] = (down[i] + 0.5f) / SCALE;
            }
            for (const Drawn& layer : drawn) {
                const Vec2 pull = layer.displacement.inverse(x, y);
                for (int i = 0; i < LANES; ++i)
                    layer.table.at<1>(across[i] + SCALE * pull.x[i] - float(layer.table.known.left),
                                      down[i] + SCALE * pull.y[i] - float(layer.table.known.top)).over(fine[i]);
            }
            for (int i = 0; i < AT_ONCE && first + i < int64_t(chosen.size()); ++i)
                for (int c = 0; c < 3; ++c) {
                    float sum = 0;
                    for (int j = 0; j < WITHIN; ++j) sum += fine[i * WITHIN + j][c];
                    light[3 * chosen[first + i] + c] = sum / WITHIN;
                }
        }
    }

  private:
    bool mixed_around(int64_t row, int64_t column) const {
        for (int64_t y = std::max<int64_t>(0, row - 1); y < std::min(height, row + 2); ++y)
            for (int64_t x = std::max<int64_t>(0, column - 1); x < std::min(width, column + 2); ++x)
                if (mixed[y * width + x]) return true;
        return false;
    }
};
