#pragma once

#include "caprl/tensor/cpu/tree_attention_backward.hpp"
#include "caprl/tensor/cpu/tree_attention_forward.hpp"
