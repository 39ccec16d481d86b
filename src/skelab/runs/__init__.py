"""One recipe carried out: from clips over training and scores to the report."""
