// The two loops of the renderer that take its time. Called by displace_cpu.py and defocus_cpu.py. All tensors are contiguous.

#include "defocus.h"
#include "displace.h"

// The sharp shot, light (3, h, w).
//
// displacement: as displace_cpu.py writes it.
// planes: (layers, 3), level and slopes. boxes: of the frame, of each layer. pixels: address of each layer's (4, H, W).
extern "C" void jdrl_displaced(const double* displacement, const double* planes, const int64_t* boxes,
                               const int64_t* pixels, const double* edge, float* light, int64_t layers,
                               int64_t margin) {
    auto box = [&](int64_t i) { return Box{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]}; };
    SharpShot shot(box(0), float(*edge));
    for (int64_t i = 0; i < layers; ++i)
        shot.add(reinterpret_cast<const float*>(pixels[i]), box(i + 1), margin, Displacement(displacement, planes + 3 * i));
    shot.refine();
    const int64_t plane = shot.height * shot.width;
    for (int64_t pixel = 0; pixel < plane; ++pixel)
        for (int64_t c = 0; c < 3; ++c) light[c * plane + pixel] = shot.light[pixel][c];
}

// Blends a blurred layer under those before it: light (3, h, w), and passing (h, w), the light that they let pass.
//
// boxes: of the picture, the layer, the part that the layer reaches. radii: of that part, master pixels. kernels: (n, n)
// each, by radius from `lowest` on; sizes: their n. at: master pixels a side of one of the picture's.
extern "C" void jdrl_defocused(const float* rgba, const int64_t* boxes, const float* radii, const double* kernels,
                               const int64_t* sizes, float* light, float* passing, int64_t levels, int64_t lowest,
                               int64_t at, int64_t opaque) {
    auto box = [&](int64_t i) { return Box{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]}; };
    std::vector<Kernel> tables;
    for (int64_t i = 0; i < levels; kernels += sizes[i] * sizes[i], ++i) tables.emplace_back(kernels, sizes[i], at);
    const auto blend = opaque ? under<3> : under<4>;
    blend({box(0), at, light, passing}, rgba, box(1), box(2), radii, tables, lowest);
}
