// Rectangles of the master picture; see regions.py.
#pragma once

#include <algorithm>
#include <cstdint>

// Rows top to bottom and columns left to right, exclusive, in master pixels from the frame's centre.
struct Box {
    int64_t top, left, bottom, right;

    int64_t height() const { return bottom - top; }
    int64_t width() const { return right - left; }
    bool empty() const { return bottom <= top || right <= left; }
    Box grown(int64_t by) const { return {top - by, left - by, bottom + by, right + by}; }
    Box common(const Box& other) const {
        return {std::max(top, other.top), std::max(left, other.left), std::min(bottom, other.bottom),
                std::min(right, other.right)};
    }
};
