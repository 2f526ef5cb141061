// The two loops of the renderer that take its time. Called by displace_cpu.py and defocus_cpu.py. All tensors are contiguous.

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
        for (int64_t c = 0; c < 3; ++c) light[c * plane + pixel] = shot.light[3 * pixel + c];
}
