#include "net/onednn/convolution.h"

#include <algorithm>

namespace keisei::net {

using dnnl::memory;

memory::desc activations_desc(int batch, int channels) {
  return {{batch, channels, 9, 9}, memory::data_type::f32, memory::format_tag::nhwc};
}

Convolution::Convolution(const dnnl::engine& engine, const ConvolutionShape& shape,
                         std::span<const float> weights, std::span<const float> bias)
    : engine_(engine),
      shape_(shape),
      plain_weights_(weights.begin(), weights.end()),
      bias_values_(bias.begin(), bias.end()),
      bias_({{shape.outputs}, memory::data_type::f32, memory::format_tag::a}, engine,
            bias_values_.data()) {}

void Convolution::run(dnnl::stream& stream, int batch, float* from, float* to) {
  Sized& size = sized(stream, batch);
  size.from.set_data_handle(from);
  size.to.set_data_handle(to);
  size.primitive.execute(stream, {{DNNL_ARG_SRC, size.from},
                                  {DNNL_ARG_WEIGHTS, weights_},
                                  {DNNL_ARG_BIAS, bias_},
                                  {DNNL_ARG_DST, size.to}});
}

dnnl::convolution_forward::primitive_desc Convolution::describe(int batch) const {
  const memory::dims kernel = {shape_.outputs, shape_.inputs, shape_.kernel, shape_.kernel};
  const memory::dim pad = shape_.kernel / 2;
  const memory::desc weights =
      sizes_.empty() ? memory::desc(kernel, memory::data_type::f32, memory::format_tag::any)
                     : weights_.get_desc();
  const dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      activations_desc(batch, shape_.inputs), weights, bias_.get_desc(),
      activations_desc(batch, shape_.outputs), {1, 1}, {pad, pad}, {pad, pad});
  dnnl::primitive_attr attributes;
  if (shape_.relu) {
    dnnl::post_ops after;
    after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attributes.set_post_ops(after);
  }
  return {desc, attributes, engine_};
}

Convolution::Sized& Convolution::sized(dnnl::stream& stream, int batch) {
  const auto found = std::ranges::find(sizes_, batch, &Sized::batch);
  if (found != sizes_.end()) {
    return *found;
  }
  const dnnl::convolution_forward::primitive_desc desc = describe(batch);
  if (sizes_.empty()) {
    const memory::dims kernel = {shape_.outputs, shape_.inputs, shape_.kernel, shape_.kernel};
    memory plain({kernel, memory::data_type::f32, memory::format_tag::oihw}, engine_,
                 plain_weights_.data());
    weights_ = memory(desc.weights_desc(), engine_);
    dnnl::reorder(plain, weights_).execute(stream, plain, weights_);
    stream.wait();
    plain_weights_ = {};
  }
  sizes_.push_back({.batch = batch,
                    .primitive = dnnl::convolution_forward(desc),
                    .from = memory(desc.src_desc(), engine_, nullptr),
                    .to = memory(desc.dst_desc(), engine_, nullptr)});
  return sizes_.back();
}

}  // namespace keisei::net
