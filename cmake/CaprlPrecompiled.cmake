# caprl::precompiled (optional): the heavy templates compiled once, in the user's own build. The library stays
# header-only without it.
set(caprl_precompiled_folder "${CMAKE_CURRENT_LIST_DIR}/precompiled")
set(caprl_precompiled_sources "${caprl_precompiled_folder}/kernels.cpp" "${caprl_precompiled_folder}/models.cpp"
                              "${caprl_precompiled_folder}/captioners.cpp")
add_library(caprl_precompiled STATIC EXCLUDE_FROM_ALL ${caprl_precompiled_sources})
add_library(caprl::precompiled ALIAS caprl_precompiled)
target_link_libraries(caprl_precompiled PUBLIC caprl::caprl)
if(TARGET caprl_strict)
  target_link_libraries(caprl_precompiled PRIVATE caprl_strict)
endif()
target_include_directories(caprl_precompiled INTERFACE "${caprl_precompiled_folder}")
target_precompile_headers(caprl_precompiled PRIVATE "${caprl_precompiled_folder}/precompiled.hpp")
if(CAPRL_SANITIZE)  # instrumented code compiles slowly, so only what is hot is optimised, without a header of other flags
  set_source_files_properties(${caprl_precompiled_sources} PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
  set(caprl_header_source "${CMAKE_CURRENT_BINARY_DIR}/precompiled_header.cpp")  # CMake makes the header for a source
  file(CONFIGURE OUTPUT "${caprl_header_source}" CONTENT "// Begins with the precompiled header.\n")
  target_sources(caprl_precompiled PRIVATE "${caprl_header_source}")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(caprl_precompiled PUBLIC $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # for ccache
endif()

# caprl_use_precompiled(<target>): the target's sources begin with precompiled.hpp, and link what it declares.
function(caprl_use_precompiled target)
  target_link_libraries(${target} PRIVATE caprl::precompiled)
  target_precompile_headers(${target} REUSE_FROM caprl_precompiled)
endfunction()
