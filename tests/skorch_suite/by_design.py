"""skorch's own tests that fail with our general estimator in the place of its nets, and why: all by design."""

from __future__ import annotations

# The version of skorch whose tests these are.
SKORCH = "1.4.0"

# Reason: tests as FILE::CLASS::TEST, of a parametrized test all its cases or those that are named.
BY_DESIGN: dict[str, tuple[str, ...]] = {
    ("They fail with skorch's own regressor in place of a classifier too: tests of classification."): (
        "callbacks/test_scoring.py::TestScoringCacheGlobalControl::test_net_overrides_caching",
        "callbacks/test_training.py::TestEarlyStopping::test_custom_scoring_stop",
        "callbacks/test_training.py::TestEarlyStopping::test_stopping_big_absolute_threshold",
        "callbacks/test_training.py::TestEarlyStopping::test_weights_restore",
        "callbacks/test_training.py::TestInputShapeSetter::test_no_module_reinit_partial_fit",
        "callbacks/test_training.py::TestInputShapeSetter::test_no_module_reinit_when_already_correct",
        "callbacks/test_training.py::TestLoadInitState::test_load_initial_state[safetensors]",
        "callbacks/test_training.py::TestLoadInitState::test_load_initial_state_custom_scoring[safetensors]",
        "test_history.py::TestDistributedHistoryMultiprocessing::test_distributed_history",
        "test_net.py::TestNeuralNet::test_callback_keeps_order",
        "test_net.py::TestNeuralNet::test_change_get_loss",
        "test_net.py::TestNeuralNet::test_clone_results_in_uninitialized_net",
        "test_net.py::TestNeuralNet::test_criterion_is_not_a_torch_module",
        "test_net.py::TestNeuralNet::test_criterion_params_passed_to_optimizer_if_any",
        "test_net.py::TestNeuralNet::test_criterion_training_set_correctly",
        "test_net.py::TestNeuralNet::test_customize_net_with_custom_dataset_that_returns_3_values",
        "test_net.py::TestNeuralNet::test_fit_lbfgs_optimizer",
        "test_net.py::TestNeuralNet::test_fit_with_dataset",
        "test_net.py::TestNeuralNet::test_fit_with_dataset_without_explicit_y",
        "test_net.py::TestNeuralNet::test_forward",
        "test_net.py::TestNeuralNet::test_history_default_keys",
        "test_net.py::TestNeuralNet::test_load_cuda_params_to_cpu",
        "test_net.py::TestNeuralNet::test_multioutput_predict",
        "test_net.py::TestNeuralNet::test_net_learns",
        "test_net.py::TestNeuralNet::test_pickle_load",
        "test_net.py::TestNeuralNet::test_pickle_save_load",
        "test_net.py::TestNeuralNet::test_predict_nonlinearity_called_with_predict",
        "test_net.py::TestNeuralNet::test_predict_nonlinearity_called_with_predict_proba",
        "test_net.py::TestNeuralNet::test_predict_nonlinearity_is_identity_with_multiple_criteria",
        "test_net.py::TestNeuralNet::test_repr_fitted_works",
        "test_net.py::TestNeuralNet::test_repr_initialized_works",
        "test_net.py::TestNeuralNet::test_repr_uninitialized_works",
        "test_net.py::TestNeuralNet::test_save_and_load_from_checkpoint[True-False]",
        "test_net.py::TestNeuralNet::test_save_and_load_from_checkpoint[True-True]",
        "test_net.py::TestNeuralNet::test_save_and_load_from_checkpoint_formatting[True]",
        "test_net.py::TestNeuralNet::test_save_load_safetensors_used",
        "test_net.py::TestNeuralNet::test_save_load_state_dict_custom_module[True]",
        "test_net.py::TestNeuralNet::test_save_load_state_dict_file",
        "test_net.py::TestNeuralNet::test_save_load_state_dict_file_with_history_optimizer_criterion",
        "test_net.py::TestNeuralNet::test_save_load_state_dict_str",
        "test_net.py::TestNeuralNet::test_save_optimizer_with_safetensors_raises",
        "test_net.py::TestNeuralNet::test_set_params_on_custom_criterion_triggers_reinit_of_optimizer",
        "test_net.py::TestTorchCompile::test_binary_classifier_with_compile",
    ),
    ("A regressor has no `predict_proba`, and its tests here ask for nothing else."): (
        "test_net.py::TestNeuralNet::test_in_sklearn_pipeline",
        "test_net.py::TestNeuralNet::test_multiouput_predict_proba",
        "test_net.py::TestNeuralNet::test_not_init_raises[predict_proba]",
        "test_net.py::TestNeuralNet::test_predict_with_dataset",
        "test_net.py::TestTorchCompile::test_fit_and_predict_with_compile",
        "test_net.py::TestTrimForPrediction::test_inference_works",
        "test_regressor.py::TestNeuralNetRegressor::test_not_init_raises[predict_proba]",
        "test_regressor.py::TestNeuralNetRegressor::test_predict_predict_proba",
        "test_scoring.py::TestLossScoring::test_scored_net_matches_criterion_value",
    ),
    ("A net that was not fitted raises scikit-learn's `NotFittedError`, in one wording, for every method."): (
        "test_net.py::TestNeuralNet::test_load_params_not_init_optimizer",
        "test_net.py::TestNeuralNet::test_load_state_dict_not_init",
        "test_net.py::TestNeuralNet::test_not_fitted_other_attributes",
        "test_net.py::TestNeuralNet::test_not_init_raises[forward]",
        "test_net.py::TestNeuralNet::test_not_init_raises[forward_iter]",
        "test_net.py::TestNeuralNet::test_not_init_raises[predict]",
        "test_net.py::TestNeuralNet::test_save_params_not_init_optimizer",
        "test_net.py::TestNeuralNet::test_save_state_dict_not_init",
        "test_net.py::TestTrimForPrediction::test_trim_untrained_net_raises",
        "test_regressor.py::TestNeuralNetRegressor::test_not_init_raises[forward]",
        "test_regressor.py::TestNeuralNetRegressor::test_not_init_raises[forward_iter]",
        "test_regressor.py::TestNeuralNetRegressor::test_not_init_raises[predict]",
        "test_scoring.py::TestLossScoring::test_score_unfit_net_raises",
        "test_scoring.py::TestLossScoring::test_score_unfit_scored_net_raises",
    ),
    (
        "`loss` and `loss_weights` stand in place of `criterion` and its parameters; `criterion_` is always "
        "the table of terms."
    ): (
        "test_net.py::TestNeuralNet::test_callback_set_params",
        "test_net.py::TestNeuralNet::test_callback_with_name_init_with_params",
        "test_net.py::TestNeuralNet::test_criteria_reinit_when_both_initialized_but_custom_criterion_changed",
        "test_net.py::TestNeuralNet::test_criterion_init_with_params",
        "test_net.py::TestNeuralNet::test_criterion_non_module",
        "test_net.py::TestNeuralNet::test_criterion_set_params",
        "test_net.py::TestNeuralNet::test_custom_criterion_attribute_name_predict_works",
        "test_net.py::TestNeuralNet::test_custom_criterion_is_init_when_default_criterion_already_is",
        "test_net.py::TestNeuralNet::test_custom_module_is_init_when_default_module_already_is",
        "test_net.py::TestNeuralNet::test_module_referencing_another_module_no_duplicate_params",
        "test_net.py::TestNeuralNet::test_moving_custom_modules_to_device",
        "test_net.py::TestNeuralNet::test_net_init_missing_dunder_in_prefix_argument[criterionreduce-criterion__reduce]",
        "test_net.py::TestNeuralNet::test_net_variable_label_lengths",
        "test_net.py::TestNeuralNet::test_optimizer_initialized_after_module_moved_to_device",
        "test_net.py::TestNeuralNet::test_predict_nonlinearity_none",
        "test_net.py::TestNeuralNet::test_set_params_on_custom_criterion_with_default_criterion_params_msg",
        "test_net.py::TestNeuralNet::test_set_params_on_custom_module_preserves_its_device",
        "test_net.py::TestNeuralNet::test_unknown_set_params_gives_helpful_message",
        "test_net.py::TestTorchCompile::test_custom_modules_are_compiled",
        "test_scoring.py::TestLossScoring::test_nonnull_sample_weight_raises",
        "test_scoring.py::TestLossScoring::test_score_on_net_fit",
        "test_scoring.py::TestLossScoring::test_score_unknown_reduction_raises",
        "test_scoring.py::TestLossScoring::test_scored_net_output_type",
        "test_scoring.py::TestLossScoring::test_scored_net_with_reduction_none",
    ),
    (
        "An unknown parameter is refused by `__init__`, with the parameter that it resembles, not by "
        "`initialize` in skorch's words; there are no `history` and `predict_nonlinearity`."
    ): (
        "test_net.py::TestNeuralNet::test_initializing_net_with_custom_history",
        "test_net.py::TestNeuralNet::test_net_init_missing_dunder_and_unknown",
        "test_net.py::TestNeuralNet::test_net_init_missing_dunder_in_2_prefix_arguments",
        "test_net.py::TestNeuralNet::test_net_init_missing_dunder_in_prefix_argument[iterator_train_shuffle-iterator_train__shuffle]",
        "test_net.py::TestNeuralNet::test_net_init_missing_dunder_in_prefix_argument[modulenum_units-module__num_units]",
        "test_net.py::TestNeuralNet::test_net_init_missing_dunder_in_prefix_argument[optimizer_momentum-optimizer__momentum]",
        "test_net.py::TestNeuralNet::test_net_init_one_unknown_argument",
        "test_net.py::TestNeuralNet::test_net_init_two_unknown_arguments",
        "test_net.py::TestNeuralNet::test_net_initialized_with_initalized_dataset_and_kwargs_raises",
        "test_net.py::TestNeuralNet::test_predict_nonlinearity_type_error",
        "test_net.py::TestTorchCompile::test_compile_missing_dunder_in_prefix_arguments",
    ),
    ("`max_epochs` must be 1 or more, and `lr` above 0: a fit that learns nothing is refused."): (
        "callbacks/test_lr_scheduler.py::TestLRCallbacks::test_lr_scheduler_set_params",
        "callbacks/test_training.py::TestParamMapper::test_initialization_is_effective",
        "callbacks/test_training.py::TestTrainEndCheckpoint::test_train_end_with_load_init",
        "test_net.py::TestNeuralNet::test_call_fit_twice_retrains",
        "test_net.py::TestNeuralNet::test_call_fit_twice_warmstart",
        "test_net.py::TestNeuralNet::test_call_partial_fit_after_fit",
        "test_net.py::TestNeuralNet::test_with_initialized_module_partial_fit",
        "test_net.py::TestNeuralNet::test_with_initialized_module_warm_start",
    ),
    (
        "What `fit` takes has names: `groups` goes to `train_split`, and nothing is passed on to the module's"
        " `forward`."
    ): (
        "test_net.py::TestMetadataRouting::test_backward_compat_fit_params_to_train_split",
        "test_net.py::TestMetadataRouting::test_fit_with_extra_params_and_routing",
        "test_net.py::TestMetadataRouting::test_fit_with_extra_params_does_not_break_valid_split",
        "test_net.py::TestMetadataRouting::test_partial_fit_with_extra_params_and_routing",
        "test_net.py::TestMetadataRouting::test_undeclared_param_rejected_by_routing",
        "test_net.py::TestNeuralNet::test_data_dict_and_fit_params",
        "test_net.py::TestNeuralNet::test_data_dict_and_fit_params_conflicting_names_raises",
        "test_net.py::TestNeuralNet::test_fit_params_passed_to_module",
        "test_net.py::TestNeuralNet::test_fit_params_passed_to_module_in_pipeline",
        "test_net.py::TestNeuralNet::test_fit_params_passed_to_train_split",
    ),
    (
        "Outputs that do not have y's columns, which torch would broadcast, are refused: one column is (n, "
        "1), and two outputs are not read as classes."
    ): (
        "callbacks/test_training.py::TestEarlyStopping::test_typical_use_case_stopping",
        "callbacks/test_training.py::TestInputShapeSetter::test_module_name",
        "callbacks/test_training.py::TestInputShapeSetter::test_parameter_name",
        "callbacks/test_training.py::TestInputShapeSetter::test_shape_set",
        "callbacks/test_training.py::TestInputShapeSetter::test_shape_set_using_fn",
        "callbacks/test_training.py::TestParamMapper::test_freezing_is_effective[mod_kwargs1-True]",
        "test_net.py::TestMetadataRouting::test_groups_routed_to_train_split",
        "test_net.py::TestMetadataRouting::test_pipeline_with_routing_enabled",
        "test_net.py::TestNeuralNet::test_with_initialized_module_other_params",
        "test_net.py::TestNeuralNet::test_with_initialized_sequential",
        "test_regressor.py::TestNeuralNetRegressor::test_bagging_regressor",
        "test_regressor.py::TestNeuralNetRegressor::test_dimension_mismatch_warning",
        "test_regressor.py::TestNeuralNetRegressor::test_fitting_with_1d_target_and_pred",
    ),
    (
        "X and y are one dense array or data frame each: no sparse matrices, mappings or rows of different "
        "lengths, and `fit` takes no dataset without y (`dataset` is a class)."
    ): (
        "callbacks/test_scoring.py::TestEpochScoring::test_net_input_is_scoring_input",
        "callbacks/test_training.py::TestInputShapeSetter::test_one_dimensional_x_raises",
        "test_net.py::TestMetadataRouting::test_pipeline_with_dict_x_and_groups_routing",
        "test_net.py::TestNetSparseInput::test_fit_sparse_csr_learns",
        "test_net.py::TestNeuralNet::test_fit_with_dataset_X_y_inaccessible_does_not_raise",
        "test_net.py::TestNeuralNet::test_fit_with_dataset_one_item_error",
        "test_net.py::TestNeuralNet::test_fit_with_dataset_stratified_without_explicit_y_raises",
        "test_net.py::TestNeuralNet::test_fit_with_dataset_three_items_error",
        "test_net.py::TestNeuralNet::test_net_variable_prediction_lengths",
        "test_net.py::TestNeuralNet::test_predefined_split",
    ),
    ("The history, and so the log, has the loss of each term."): (
        "callbacks/test_logging.py::TestPrintLog::test_first_row",
        "callbacks/test_logging.py::TestPrintLog::test_header",
        "callbacks/test_logging.py::TestPrintLog::test_lines",
        "callbacks/test_logging.py::TestPrintLog::test_with_additional_key",
        "callbacks/test_logging.py::TestPrintLog::test_with_event_key",
        "callbacks/test_logging.py::TestPrintLog::test_witout_valid_data",
    ),
    ("A loss that is not finite stops the training with an error."): (
        "callbacks/test_lr_scheduler.py::TestLRCallbacks::test_lr_scheduler_record_epoch_step",
        "callbacks/test_lr_scheduler.py::TestReduceLROnPlateau::test_reduce_lr_record_batch_step",
        "callbacks/test_lr_scheduler.py::TestReduceLROnPlateau::test_reduce_lr_record_epoch_step",
    ),
    (
        "An instance of a module is copied in `fit`, and starts from its parameters; `module_` is the network"
        " in every subclass."
    ): (
        "test_net.py::TestNeuralNet::test_custom_non_default_module_with_check_is_fitted",
        "test_net.py::TestNeuralNet::test_modules_reinit_when_both_initialized_but_custom_module_changed",
    ),
    (
        "`set_params` stores, as scikit-learn's does: `compile` acts at the next `fit`, and a parameter of a "
        "callback that was taken out is refused by `fit`. `get_params` has the parameters of callbacks before"
        " `fit` too."
    ): (
        "test_net.py::TestNeuralNet::test_get_params_works",
        "test_net.py::TestNeuralNet::test_reinitializing_module_optimizer_message[kwargs3-expected3]",
        "test_net.py::TestNeuralNet::test_reinitializing_module_optimizer_message[kwargs4-expected4]",
        "test_net.py::TestNeuralNet::test_setting_callback_to_none_and_more_params_later_raises",
        "test_net.py::TestTorchCompile::test_compile_called_after_set_params",
        "test_net.py::TestTorchCompile::test_compile_called_after_set_params_on_compile_param",
    ),
    ("Batches that nobody listens to are of the tensor loop, which keeps one record for all of them."): (
        "callbacks/test_lr_scheduler.py::TestLRCallbacks::test_lr_callback_batch_steps_correctly_fallback",
    ),
    ("`partial_fit` goes on for `max_epochs` epochs."): ("test_net.py::TestNeuralNet::test_train_net_after_copy",),
    ("A pickle holds more tensors than those of skorch's components, and `torch.load` reads them first."): (
        "test_net.py::TestNeuralNet::test_torch_load_kwargs_forwarded_to_torch_load_unpickle",
    ),
    (
        "`trim_for_prediction` removes what is fitted and leaves parameters as they are, so that the net can be cloned."
    ): (
        "test_net.py::TestTrimForPrediction::test_callbacks_trimmed",
        "test_net.py::TestTrimForPrediction::test_criteria_trimmed",
        "test_net.py::TestTrimForPrediction::test_optimizer_trimmed",
        "test_net.py::TestTrimForPrediction::test_train_iterator_trimmed",
    ),
}
