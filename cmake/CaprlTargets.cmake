# caprl::caprl: the headers, the instruction set and the dependencies that every program needs.
add_library(caprl INTERFACE)
add_library(caprl::caprl ALIAS caprl)
target_include_directories(caprl INTERFACE
  "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:include>")
target_compile_features(caprl INTERFACE cxx_std_20)
# Without math-errno a square root is one instruction, in packs too.
target_compile_options(caprl INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-march=${CAPRL_ARCH};-fno-math-errno>")
target_link_libraries(caprl INTERFACE
  Eigen3::Eigen fmt::fmt nlohmann_json::nlohmann_json PkgConfig::PCRE2 OpenMP::OpenMP_CXX Threads::Threads)
target_include_directories(caprl SYSTEM INTERFACE "${CAPRL_STB_INCLUDE}")

if(TARGET caprl_onednn)
  target_compile_definitions(caprl INTERFACE CAPRL_WITH_ONEDNN=1)
  target_link_libraries(caprl INTERFACE caprl_onednn)
endif()

# caprl::media: video through libav.
if(LIBAV_FOUND)
  add_library(caprl_media INTERFACE)
  add_library(caprl::media ALIAS caprl_media)
  set_target_properties(caprl_media PROPERTIES EXPORT_NAME media)
  target_link_libraries(caprl_media INTERFACE caprl PkgConfig::LIBAV)
endif()

# Flags of our own programs; never passed on to users.
add_library(caprl_strict INTERFACE)
target_compile_options(caprl_strict INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion>
  # False alarms of g++ 12: on "text" + std::string&&, and in its own avx512fintrin.h (GCC bug 105593).
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds;-Wno-maybe-uninitialized;-Wno-uninitialized>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${CAPRL_WERROR}>>:-Werror>)
if(CAPRL_SANITIZE)
  target_compile_options(caprl_strict INTERFACE -fsanitize=${CAPRL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(caprl_strict INTERFACE -fsanitize=${CAPRL_SANITIZE})
endif()
