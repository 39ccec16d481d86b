// Graph convolutions over fixed topologies, in single frames or across windows of frames.
//
//   y[node] = act(bias + residual[node] + sum over scales k and nodes m of
//                 topology_k[node][m] * (x[m] W_k))
//
// The nodes of a window are the joints of its frames. The two factors may be taken in either order;
// what is cheaper depends on the channels: mixing first works on C channels, transforming first on
// D, and transforms each frame once although it stands in several windows.
#pragma once

#include <cstring>

#include "steps.h"

namespace skelab {

template <class Number>
struct GraphWeights {
    int window;  // frames, odd
    int scales;
    bool mixes_first;
    AlignedArray<Number> topology;  // mixes first: scale, node, m; else: node, scale, m
    std::vector<Weights<Number>> transforms;  // of each scale; else of each panel, scales as taps
    AlignedArray<float> bias;  // of each column, or of each node and column
    int columns;
};

// Rows as the right factor of a mixture; of bfloat16 in pairs, the last with zeros where it is alone.
template <class In, class Number>
void pair_rows(const In* from, long rows, long width, Number* to) {
    for (long r = 0; r < rows; r += 2, from += 2 * width, to += 2 * width)
        for (long c = 0; c < width; c += kLanes)
            store_pairs(to + 2 * c, load(from + c), r + 1 < rows ? load(from + width + c) : Vector{});
}

// What both steps below share: it makes the nodes of a few windows at once.
template <class Number>
class GraphNodes {
public:
    static constexpr long kWindows = 8;  // at once

    GraphNodes(const Program<Number>& program, int from, int stride, GraphWeights<Number> weights)
        : from_(from), stride_(stride), joints_(program.joints()),
          lanes_(program.spec(from).lanes), pitch_(rounded_up(program.joints(), kDepth)),
          w_(std::move(weights)), columns_(w_.columns), nodes_(w_.window * joints_),
          sources_(w_.window * pitch_) {
        const size_t count = w_.mixes_first ? size_t(w_.scales) : size_t(panels()) * w_.scales;
        bool fits = w_.window % 2 && w_.scales > 0 && columns_ > 0 && columns_ % kLanes == 0 &&
                    w_.transforms.size() == count && w_.window > 0 && stride > 0 &&
                    program.spec(from).halo >= w_.window / 2 &&
                    w_.topology.size() == size_t(w_.scales) * nodes_ * nodes_ &&
                    (w_.bias.size() == size_t(columns_) ||
                     w_.bias.size() == size_t(nodes_) * columns_);
        for (const Weights<Number>& transform : w_.transforms)
            fits = fits && transform.depth() <= lanes_;
        if (!fits) throw std::invalid_argument("graph: weights that do not fit its tensors");
        spread_topology();
    }

    int columns() const { return columns_; }
    long nodes() const { return nodes_; }

    // Floats; a little more than is needed where numbers are smaller.
    size_t scratch() const {
        const long paired = frames_held() * pitch_ * (w_.mixes_first ? lanes_ : columns_ * w_.scales);
        const long rows = w_.mixes_first ? kWindows * nodes_ * lanes_
                                         : frames_held() * joints_ * panel() * kLanes;
        return size_t(paired + rows);
    }

    // Nodes of `count` windows from `first` on; residual and result have `row` numbers a node.
    void compute(const Body<Number>& body, long first, long count, const Number* residual,
                 Number* to, long row, bool rectify) const {
        w_.mixes_first ? mix_first(body, first, count, residual, to, row, rectify)
                       : transform_first(body, first, count, residual, to, row, rectify);
    }

private:
    static constexpr int kDepth = Factors<Number>::kDepth;

    int panel() const { return panel_vectors(columns_ / kLanes); }
    int panels() const { return (columns_ / kLanes + panel() - 1) / panel(); }
    long bias_row() const { return w_.bias.size() > size_t(columns_) ? columns_ : 0; }
    long frames_held() const { return frames_of(kWindows); }
    long frames_of(long count) const { return (count - 1) * stride_ + w_.window; }

    // The frames of a topology's last axis, each `pitch_` numbers, so that it holds whole pairs.
    void spread_topology() {
        if (pitch_ == joints_) return;
        const long frames = long(w_.topology.size()) / joints_;
        AlignedArray<Number> spread(size_t(frames * pitch_));
        for (long f = 0; f < frames; ++f)
            std::copy_n(&w_.topology[size_t(f * joints_)], joints_, &spread[size_t(f * pitch_)]);
        w_.topology = std::move(spread);
    }

    const Number* window(const Body<Number>& body, long number) const {
        return body[from_] + (number * stride_ - w_.window / 2) * body.frame_size(from_);
    }

    // The frames of some windows as the right factor of a mixture: themselves, or in pairs.
    const Number* right_factor(const Number* frames, long count, Number* scratch) const {
        if constexpr (kDepth == 1) return frames;
        else {
            for (long f = 0; f < frames_of(count); ++f)
                pair_rows(frames + f * joints_ * lanes_, joints_, lanes_,
                          scratch + f * pitch_ * lanes_);
            return scratch;
        }
    }

    void mix_first(const Body<Number>& body, long first, long count, const Number* residual,
                   Number* to, long row, bool rectify) const {
        Number* mixed = reinterpret_cast<Number*>(body.scratch);
        const Number* frames = right_factor(window(body, first), count,
                                            mixed + kWindows * nodes_ * lanes_);
        for (int k = 0; k < w_.scales; ++k) {
            Product<Number, Number> mix{};
            mix.rows = nodes_, mix.columns = int(lanes_);
            mix.a = w_.topology.data() + k * nodes_ * sources_, mix.a_row = sources_;
            mix.depth = int(sources_), mix.taps = 1;
            mix.c_row = lanes_;
            for (long i = 0; i < count; ++i) {
                mix.b = {frames + i * stride_ * pitch_ * lanes_, false, lanes_ * kDepth, 0};
                mix.c = mixed + i * nodes_ * lanes_;
                multiply(mix);
            }
            const Weights<Number>& transform = w_.transforms[size_t(k)];
            Product<Number, Number> p{};
            p.columns = columns_;
            p.a_row = lanes_, p.depth = transform.depth(), p.taps = 1;
            p.b = transform.right(), p.bias = k == 0 ? w_.bias.data() : nullptr;
            p.bias_row = bias_row();
            p.residual_row = p.c_row = row, p.rectify = rectify && k == w_.scales - 1;
            const long together = k == 0 && bias_row() ? 1 : count;  // windows that one product has
            p.rows = together * nodes_;
            for (long i = 0; i < count; i += together) {
                p.a = mixed + i * nodes_ * lanes_, p.c = to + i * nodes_ * row;
                p.residual = k > 0 ? p.c : residual ? residual + i * nodes_ * row : nullptr;
                multiply(p);
            }
        }
    }

    // One panel of the transform of a scale, of all frames of some windows.
    void transform(const Body<Number>& body, long first, long count, const Weights<Number>& weights,
                   Number* to, float* scratch) const {
        const long width = weights.columns();
        auto product = [&](auto* c) {
            Product<Number, std::remove_pointer_t<decltype(c)>> p{};
            p.rows = frames_of(count) * joints_, p.columns = int(width);
            p.a = window(body, first), p.a_row = lanes_, p.depth = weights.depth(), p.taps = 1;
            p.b = weights.right();
            p.c = c, p.c_row = width;
            multiply(p);
        };
        if constexpr (kDepth == 1) return product(to);
        else {
            product(scratch);
            for (long f = 0; f < frames_of(count); ++f)
                pair_rows(scratch + f * joints_ * width, joints_, width, to + f * pitch_ * width);
        }
    }

    // transformed[panel][scale][frame][joint]: the right factor of the mixture, panel by panel
    void transform_first(const Body<Number>& body, long first, long count, const Number* residual,
                         Number* to, long row, bool rectify) const {
        float* rows = body.scratch;
        Number* transformed = reinterpret_cast<Number*>(rows + frames_held() * joints_ * panel() * kLanes);
        for (int start = 0, number = 0; start < columns_; start += panel() * kLanes) {
            const int width = std::min(panel() * kLanes, columns_ - start);
            const long scale = frames_of(count) * pitch_ * width;
            for (int k = 0; k < w_.scales; ++k, ++number)
                transform(body, first, count, w_.transforms[size_t(number)],
                          transformed + k * scale, rows);
            Product<Number, Number> mix{};
            mix.rows = nodes_, mix.columns = width;
            mix.a = w_.topology.data(), mix.a_row = w_.scales * sources_, mix.a_tap = sources_;
            mix.depth = int(sources_), mix.taps = w_.scales;
            mix.bias = w_.bias.data() + start, mix.bias_row = bias_row();
            mix.residual_row = mix.c_row = row;
            mix.rectify = rectify;
            for (long i = 0; i < count; ++i) {
                mix.b = {transformed + i * stride_ * pitch_ * width, false, long(width) * kDepth, scale};
                mix.c = to + i * nodes_ * row + start;
                mix.residual = residual ? residual + i * nodes_ * row + start : nullptr;
                multiply(mix);
            }
        }
    }

    int from_;
    long stride_, joints_, lanes_, pitch_;  // pitch: joints of a frame, with those that pad pairs
    GraphWeights<Number> w_;
    int columns_;
    long nodes_, sources_;  // of a window: those that come out, and those that are mixed
};

// The nodes of single frames are the result.
template <class Number>
class FrameGraph : public Step<Number> {
public:
    FrameGraph(Program<Number>& program, int from, int to, Epilogue epilogue,
               GraphWeights<Number> weights)
        : to_(to), epilogue_(epilogue), nodes_(program, from, 1, std::move(weights)) {
        epilogue_.check(program, to, nodes_.columns());
        const TensorSpec &in = program.spec(from), &out = program.spec(to);
        if (in.stride != out.stride || out.lanes != nodes_.columns() ||
            nodes_.nodes() != program.joints() || epilogue.residual.lane > 0 ||
            (epilogue.residual.tensor >= 0 &&
             program.spec(epilogue.residual.tensor).lanes != out.lanes))
            throw std::invalid_argument("graph: weights that do not fit its tensors");
    }
    size_t scratch(long, long) const override { return nodes_.scratch(); }
    void run(const Body<Number>& body) const override {
        const long frames = body.frames(to_), size = body.frame_size(to_);
        const Number* residual = epilogue_.residual_of(body);
        for (long t = 0; t < frames; t += nodes_.kWindows)
            nodes_.compute(body, t, std::min(nodes_.kWindows, frames - t),
                           residual ? residual + t * size : nullptr, body[to_] + t * size,
                           body.lanes(to_), epilogue_.rectify);
    }

private:
    int to_;
    Epilogue epilogue_;
    GraphNodes<Number> nodes_;
};

// The nodes of a window of frames are rectified and collapsed to the joints of its middle frame,
// which is added to what the result already holds. Nodes stand joint by joint, so that the frames
// of a joint follow one another and the collapse is one product.
template <class Number>
class WindowGraph : public Step<Number> {
public:
    WindowGraph(Program<Number>& program, int from, int to, bool rectify,
                GraphWeights<Number> weights, Weights<Number> collapse, AlignedArray<float> bias)
        : to_(to), rectify_(rectify), window_(weights.window),
          nodes_(program, from, program.spec(to).stride / program.spec(from).stride,
                 std::move(weights)),
          collapse_(std::move(collapse)), bias_(std::move(bias)) {
        if (program.spec(to).stride % program.spec(from).stride ||
            collapse_.depth() != window_ * nodes_.columns() ||
            collapse_.columns() != program.spec(to).lanes ||
            int(bias_.size()) != collapse_.columns())
            throw std::invalid_argument("window: weights that do not fit its tensors");
    }

    size_t scratch(long, long) const override {
        return nodes_.scratch() + size_t(nodes_.kWindows * nodes_.nodes() * nodes_.columns());
    }

    void run(const Body<Number>& body) const override {
        const long frames = body.frames(to_), columns = nodes_.columns();
        Number* nodes = reinterpret_cast<Number*>(body.scratch + nodes_.scratch());
        Product<Number, Number> p{};
        p.columns = collapse_.columns();
        p.a = nodes, p.a_row = window_ * columns, p.depth = collapse_.depth(), p.taps = 1;
        p.b = collapse_.right(), p.bias = bias_.data();
        p.residual_row = p.c_row = body.lanes(to_);
        p.rectify = rectify_;
        for (long t = 0; t < frames; t += nodes_.kWindows) {
            const long some = std::min(nodes_.kWindows, frames - t);
            nodes_.compute(body, t, some, nullptr, nodes, columns, true);
            p.rows = some * body.joints();
            p.c = body[to_] + t * body.frame_size(to_);
            p.residual = p.c;
            multiply(p);
        }
    }

private:
    int to_;
    bool rectify_;
    int window_;
    GraphNodes<Number> nodes_;
    Weights<Number> collapse_;
    AlignedArray<float> bias_;
};

}  // namespace skelab
